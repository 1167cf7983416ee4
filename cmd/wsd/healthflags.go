package main

// healthFlags are what /readyz depends on.
type healthFlags struct {
	BrokerRequired string `enum:"ready,off" default:"ready" help:"With Redis, whether /readyz is red while no messages pass between servers: ready, or off. Default ${default}."`
}

// check refuses what can't be meant.
func (f *healthFlags) check() error { return nil }
