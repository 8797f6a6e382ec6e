# A domain's life by command.
xl create -p hello.cfg
xl list hello
xl vcpu-list hello
xl unpause hello
sleep 1
xl list hello
xl pause hello
xl pause hello
xl list hello
xl unpause hello
xl list hello
xl unpause hello
xl list hello
xl rename hello other
xl domid hello
xl domid other
xl domname 1
xl list
xl create smp.cfg 'extra="counters"' vcpus=4
xl vcpu-set smp 2
xl vcpu-set smp 0
xl vcpu-set smp 5
xl vcpu-set -i smp 5
xl vcpu-set smp 4
xl vcpu-pin smp 0 1
xl vcpu-list smp
xl vcpu-pin smp 1 0-1,3 2
xl vcpu-pin smp 2 - 0-2
xl vcpu-pin smp 3 ^2
xl vcpu-list smp
xl vcpu-pin smp all 1,3 all
xl vcpu-list smp
xl vcpu-pin smp all all all
xl vcpu-pin -f smp 0 2
xl vcpu-list smp
xl vcpu-pin smp 0 2
xl -N vcpu-pin smp 0 3
xl -N vcpu-pin smp 0 - 1
xl -N vcpu-pin smp all 1,3 2
xl vcpu-list smp
xl sched-credit -d smp
xl sched-credit -d smp -w 512
xl sched-credit -d smp -c 150
xl sched-credit -d smp
xl sched-credit -d smp -w
xl sched-credit -d smp -c
xl sched-credit -d smp -w 300 -c 0
xl sched-credit
xl sched-credit -s -t 10
xl sched-credit -s -r 500
xl sched-credit -s
xl sched-credit -p Pool-0
xl sched-credit -p Pool-0 -s
xl sched-credit -s -t 30 -r 1000
xl mem-max smp 32m
xl uptime
xl uptime smp
xl shutdown -w other
xl list
xl destroy smp
xl destroy other
xl list
xl create hello.cfg 'extra=""' 'on_poweroff="preserve"'
sleep 2
xl list
xl list -v
xl vcpu-list hello
xl pause hello
xl unpause hello
xl destroy hello
xl debug-keys h
xl debug-keys r
xl dmesg -c
xl dmesg
xl -N create hello.cfg 'cpus="0-1"' 'cpus_soft="0"' cpu_weight=512 cap=50 vcpus=2 maxvcpus=3 'on_poweroff="preserve"' 'on_crash="restart"' 'pool="Pool-0"'
xl create -n hello.cfg
xl create -q -p hello.cfg
xl create hello.cfg
xl destroy 3
xl destroy hello
xl list -l
xl -v list
