package main

// pubsubFlags are those of /pubsub.
type pubsubFlags struct{}

// check refuses what can't be meant.
func (f *pubsubFlags) check() error { return nil }
