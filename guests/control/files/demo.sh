# The machine: its CPUs by socket, core and thread, its memory, the interface that guests see.
info -n
# The domains on it. There is one so far: Domain-0, the control domain, which runs this script.
list
# Two domains that play ping-pong by events. They are made paused, and stay when they end.
create -p ping.cfg 'on_poweroff="preserve"'
create -p pong.cfg 'on_poweroff="preserve"'
list
unpause ping pong
sleep 2
# What they printed on their consoles.
console -l ping
console -l pong
# One with four vcpus, all computing. Two are taken away from it, then one is given back.
create burn.cfg 'name="four"' vcpus=4 'extra="vcpus=4 seconds=3600"'
sleep 1
vcpu-set -i four 2
sleep 1
vcpu-list four
vcpu-set -i four 3
sleep 1
vcpu-list four
destroy four
# Two that share CPU 0, by weights of one to two. The second table of top shows the shares.
create burn.cfg 'name="light"' 'cpus="0"' cpu_weight=256
create burn.cfg 'name="heavy"' 'cpus="0"' cpu_weight=512
sched-credit
top -b -n 2 -d 3
# A paused domain gets no time, and the other one has it all.
pause heavy
top -b -n 2 -d 2
unpause heavy
# The light one may run anywhere now, and prefers CPU 1.
vcpu-pin light all all 1
sleep 1
vcpu-list light heavy
# CPU 1 leaves for a pool of its own, whose scheduler keeps promises: 4 ms of each 10 for the
# light one, and what is left for the heavy one, whose CPU 0 is not in that pool.
cpupool-cpu-remove Pool-0 1
cpupool-create 'name="rt"' 'sched="rtds"' 'cpus="1"'
cpupool-migrate light rt
cpupool-migrate heavy rt
sched-rtds -d light -v all -p 10000 -b 4000 -e 0
sched-rtds -d heavy -v all -p 10000 -b 1000 -e 1
cpupool-list
vcpu-list light heavy
top -b -n 2 -d 3
# Back again, with the weights and affinities that they had.
cpupool-migrate light Pool-0
cpupool-migrate heavy Pool-0
cpupool-destroy rt
cpupool-cpu-add Pool-0 1
sched-credit
# Domains end: asked to shut down, or destroyed at once.
shutdown -w light
destroy heavy
destroy ping
destroy pong
list
# A mistake is a line and a status.
vcpu-pin nobody 0 1
echo the status was $?
# That was demo.sh. At the prompt try: help, create hello.cfg, console hello (^] leaves), top, exit
