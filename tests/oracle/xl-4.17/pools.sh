# Pools: made, changed, ended; who is in them and where it runs.
xl cpupool-create
xl cpupool-create 'cpus="3"'
xl cpupool-create 'name="a"' 'sched="magic"'
xl cpupool-create 'name="a"' 'cpus="3"'
xl cpupool-create 'name="Pool-0"'
xl cpupool-create missing.cfg
xl cpupool-cpu-remove Pool-0 3
xl cpupool-cpu-remove nobody 2
xl cpupool-cpu-remove Pool-0
xl cpupool-cpu-remove Pool-0 x
xl cpupool-create -n 'name="a"' 'cpus="3"'
xl cpupool-create -n 'name="a"' 'cpus=["3"]' 'sched="null"'
xl cpupool-create -n 'name="a"' 'sched="null"'
xl cpupool-create -n 'name="a"' 'nodes=["0"]'
xl cpupool-create -n 'name="a"' 'cpus="3"' 'nodes=["0"]'
xl cpupool-list
xl cpupool-create 'name="a"'
xl cpupool-create 'name="b"'
xl cpupool-list
xl cpupool-list -c
xl cpupool-list a
xl cpupool-list -c b
xl cpupool-list nobody
xl cpupool-list -x
xl cpupool-cpu-remove Pool-0 2
xl cpupool-cpu-add b 2
xl cpupool-cpu-add b x
xl cpupool-cpu-add nobody 2
xl cpupool-cpu-add b
xl cpupool-rename b c
xl cpupool-rename nobody x
xl cpupool-rename c
xl create -p hello.cfg 'pool="c"'
xl create -p hello.cfg 'pool="nobody"' 'name="x"'
xl list -c
xl vcpu-list hello
xl sched-credit -d hello
xl sched-credit -d hello -w 512 -c 40
xl sched-credit
xl sched-credit -p c
xl sched-credit -p a
xl sched-credit -s
xl sched-credit -s -p c -t 10
xl sched-credit -s -p c -t 5 -r 2000
xl sched-credit -s -p c -t 0
xl sched-credit -s -p c -t 1001
xl sched-credit -s -p c -r 50
xl sched-credit -s -p c -r 500001
xl sched-credit -s -p c -t 1 -r 2000
xl sched-credit -s -p c -m 100001
xl sched-credit -s -p c -m 100
xl sched-credit -s -p c
xl sched-credit -s -p nobody -m 100
xl sched-rtds
xl sched-rtds -v all
xl sched-rtds --cpupool=a
xl sched-rtds --cpupool=nobody
xl sched-rtds -d hello -p 20000 -b 5000
xl sched-rtds -d hello -v 0 -p 20000 -b 5000 -e 2
xl sched-rtds -d hello --cpupool=a
xl sched-rtds -d nobody
xl sched-rtds -p 10000
xl sched-rtds -d hello
xl vcpu-pin hello 0 2
xl vcpu-list hello
xl vcpu-pin hello 0 2-3 0
xl vcpu-list hello
xl vcpu-pin hello 0 0
xl vcpu-pin hello all - all
xl vcpu-pin hello all node:0,^3
xl vcpu-list hello
xl vcpu-pin hello 0 nodes:0,^3 node:0,^2
xl vcpu-list hello
xl vcpu-pin hello 0 all all
xl cpupool-destroy c
xl cpupool-cpu-remove c 2
xl cpupool-migrate hello
xl cpupool-migrate hello nobody
xl cpupool-migrate nobody a
xl cpupool-migrate Domain-0 a
xl cpupool-migrate hello a
xl cpupool-migrate hello a
xl list -c hello
xl sched-credit -d hello
xl sched-credit -d hello -w 256 -c 0
xl cpupool-migrate hello Pool-0
xl cpupool-list
xl sched-credit
xl destroy hello
xl cpupool-numa-split
xl cpupool-destroy a
xl cpupool-destroy a
xl cpupool-destroy Pool-0
xl cpupool-destroy
xl cpupool-destroy c
xl cpupool-list -c
xl info
xl cpupool-cpu-add Pool-0 2-3
xl cpupool-list -c
xl cpupool-numa-split -n
xl cpupool-list
xl cpupool-numa-split
xl cpupool-list
xl cpupool-numa-split
xl cpupool-rename Pool-node0 Pool-0
xl create -p smp.cfg 'cpus=["0","1"]' 'cpus_soft="2-3,^3"'
xl vcpu-list smp
xl create -p smp.cfg 'name="b"' 'cpus="nodes:0,^1"' 'cpus_soft=["0","all","node:0"]'
xl vcpu-list b
