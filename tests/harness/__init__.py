"""What the tests share: control planes, nodes, machines and guests to test with."""
