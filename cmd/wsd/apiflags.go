package main

import (
	"fmt"
	"time"
)

// apiFlags are those of the HTTP API.
type apiFlags struct {
	APIMaxBody     size          `name:"api-max-body" default:"1MiB" placeholder:"SIZE" help:"Largest body of a request to the HTTP API. Default ${default}."`
	APIKeepAnswers time.Duration `name:"api-keep-answers" default:"10m" help:"How long a request with an idempotency key is remembered. Default ${default}."`
}

// check refuses what can't be meant.
func (f *apiFlags) check() error {
	switch {
	case f.APIMaxBody < 0:
		return usageError(fmt.Errorf("--api-max-body can't be unlimited"))
	case f.APIKeepAnswers < time.Second:
		return usageError(fmt.Errorf("--api-keep-answers %v: want at least 1s", f.APIKeepAnswers))
	}
	return nil
}
