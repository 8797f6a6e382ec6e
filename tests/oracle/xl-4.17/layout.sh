# What there is, under several -smp; each line is run by a shell in domain 0.
xl create hello.cfg
xl create ticks.cfg vcpus=1 'name="clock"' 'extra="seconds=100000"' 'cpus="0"' 'cpus_soft="0"'
xl create -p smp.cfg vcpus=3 maxvcpus=4 memory=16 cpu_weight=512 cap=50
xl list
xl list -c
xl list -v hello
xl list -n
xl list -Z
xl list -cn smp
xl list -l smp
xl list -l clock
xl vcpu-list
xl vcpu-list smp
xl info
xl info -n
xl sched-credit
xl sched-credit -s
xl sched-credit -d smp
xl cpupool-list
xl cpupool-list -c
xl cpupool-list Pool-0
xl uptime
xl uptime smp
xl uptime -s
xl domid clock
xl domname 1
xl vcpu-pin clock 0 all
xl vcpu-list clock
