# A machine with two nodes.
xl list -n
xl create -p hello.cfg 'name="a"' 'vcpus=2'
xl create -p hello.cfg 'name="b"' 'vcpus=2'
xl create -p hello.cfg 'name="c"' 'vcpus=2'
xl create -p hello.cfg 'name="d"' 'vcpus=2'
xl create -p hello.cfg 'name="e"' 'vcpus=4'
xl vcpu-list
xl list -n
xl destroy a
xl destroy b
xl destroy c
xl destroy d
xl destroy e
xl cpupool-numa-split
xl cpupool-list
xl cpupool-list -c
xl cpupool-numa-split
xl cpupool-cpu-remove Pool-node1 node:1
xl cpupool-list -c
xl cpupool-cpu-add Pool-node0 node:1
xl cpupool-list -c
xl cpupool-cpu-remove Pool-node0 3
xl cpupool-create -n 'name="x"' 'nodes=["1"]'
xl cpupool-create -n 'name="x"' 'cpus="node:1,^2"'
xl create -p hello.cfg 'name="y"' 'cpus="node:0"' 'cpus_soft="node:1"'
xl vcpu-list y
