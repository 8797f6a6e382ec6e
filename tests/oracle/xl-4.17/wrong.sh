# Wrong words: a status that is not 0 and a reason.
xl
xl nonsense
xl help
xl help nonsense
xl help list
xl list -h
xl list -q
xl list nobody
xl list 7
xl list Domain-0 nobody
xl vcpu-list nobody
xl vcpu-list -x
xl info -x
xl info word
xl create
xl create missing.cfg
xl create hello.cfg 'kernel="missing.elf"'
xl create hello.cfg 'pool="rt"'
xl create hello.cfg 'memory=4000'
xl create hello.cfg 'cpus="9"'
xl create hello.cfg 'name="Domain-0"'
xl create hello.cfg 'ramdisk="missing"'
xl create hello.cfg 'kernel="hello.cfg"'
xl create hello.cfg 'name='
xl create hello.cfg 'kernel='
xl create hello.cfg 'vcpus=4' 'maxvcpus=2'
xl create hello.cfg 'cpu_weight=0'
xl create hello.cfg 'cap=101'
xl create hello.cfg 'on_crash="explode"'
xl list
xl pause
xl pause nobody
xl pause Domain-0
xl pause 99
xl unpause
xl unpause Domain-0
xl destroy
xl destroy nobody
xl destroy Domain-0
xl destroy 0
xl shutdown
xl shutdown nobody
xl reboot nobody
xl shutdown -a Domain-0
xl rename
xl rename Domain-0
xl rename nobody x
xl domid
xl domid nobody
xl domid 0
xl domname
xl domname 99
xl domname x
xl vcpu-set
xl vcpu-set Domain-0
xl vcpu-set Domain-0 x
xl vcpu-set Domain-0 0
xl vcpu-set Domain-0 2
xl vcpu-set nobody 1
xl vcpu-pin
xl vcpu-pin Domain-0 0
xl vcpu-pin nobody 0 1
xl vcpu-pin Domain-0 9 1
xl vcpu-pin Domain-0 x 1
xl vcpu-pin Domain-0 0 77
xl vcpu-pin Domain-0 0 x
xl vcpu-pin Domain-0 0 -
xl vcpu-pin Domain-0 0 - -
xl vcpu-pin Domain-0 0 3-1
xl vcpu-pin Domain-0 0 ^0-3
xl vcpu-pin -f Domain-0 all 1
xl vcpu-pin Domain-0 all 0-9
xl vcpu-list
xl sched-credit -d nobody
xl sched-credit -w 256
xl sched-credit -d Domain-0 -w 0
xl sched-credit -d Domain-0 -w 65536
xl sched-credit -d Domain-0 -w x
xl sched-credit -d Domain-0 -c 101
xl sched-credit -d Domain-0 -c -1
xl sched-credit -d Domain-0 -s
xl sched-credit -d Domain-0 -p Pool-0
xl sched-credit -t 5
xl sched-credit -s -t 0
xl sched-credit -s -t 2000
xl sched-credit -s -r 50
xl sched-credit -s -t 1 -r 2000
xl sched-credit -p nopool
xl sched-credit -x
xl sched-credit
xl cpupool-list nopool
xl cpupool-list -x
xl cpupool-list Pool-0 Pool-0
xl uptime nobody
xl uptime -x
xl dmesg -x
xl dmesg word
xl debug-keys
xl debug-keys a b
xl mem-set
xl mem-set Domain-0 x
xl mem-set nobody 1m
xl mem-max Domain-0 x
xl console
xl vcpu-l
xl li
