package main

// workerFlags are those of several processes on one port.
type workerFlags struct {
	ReusePort bool `help:"Let other processes listen on the same address (SO_REUSEPORT): the kernel shares connections out among them."`
}

// check refuses what can't be meant.
func (f *workerFlags) check() error { return nil }
