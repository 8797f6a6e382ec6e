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
