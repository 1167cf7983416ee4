package main

// workerFlags are those of several processes on one port.
type workerFlags struct{}

// check refuses what can't be meant.
func (f *workerFlags) check() error { return nil }
