# Every target is one line; tools/setup.sh makes what it needs. ARGS are passed on: make unit ARGS="-k plan"
.DEFAULT_GOAL := help
.PHONY: help up down purge status test unit web soak check bench

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

up: ## install what is missing, start one-machine mode and a first server (root or sudo)
	@sh tools/setup.sh up $(ARGS)

down: ## stop the control plane, press all power buttons, remove the network; disks and objects stay
	@sh tools/setup.sh down $(ARGS)

purge: ## down, and remove all of the instance after asking: disks, objects, images, keys (ARGS=--yes does not ask)
	@sh tools/setup.sh purge $(ARGS)

status: ## what runs, and at which addresses
	@sh tools/setup.sh status $(ARGS)

test: ## run every test, with its own set-up (root or sudo)
	@sh tools/setup.sh test $(ARGS)

unit: ## run the unit tests: no root, under a minute (the first run makes an environment)
	@sh tools/setup.sh unit $(ARGS)

web: ## build the console's pages in web/dist, and run the tests of what is in them without a browser
	@sh tools/setup.sh web $(ARGS)

soak: ## live long lives of the state machines, and mutate objects (half an hour; ARGS="--minutes 5", "--seed N")
	@sh tools/setup.sh soak $(ARGS)

check: ## linter, formatter, types, the arrows between the parts
	@sh tools/setup.sh check $(ARGS)

bench: ## measure the figures of docs/measurements.md; writes build/bench.json (root or sudo)
	@sh tools/setup.sh bench $(ARGS)
