package main

import (
	"bytes"
	"fmt"
	"os"
)

// adminFlags are those of the listener for operators.
type adminFlags struct {
	AdminListen string `default:"127.0.0.1:9090" placeholder:"HOST:PORT" help:"Where metrics, profiles, the HTTP API and the dashboard are served; off: nowhere. Default ${default}."`
	adminTokenFlags
}

// adminTokenFlags are what a server and the commands that ask it have in common.
type adminTokenFlags struct {
	AdminToken     string `placeholder:"TEXT" help:"Bearer token of the admin listener; needed there unless its address is a loopback one. Better: --admin-token-file."`
	AdminTokenFile string `placeholder:"FILE" help:"File with that token; line ends at its end don't count."`
}

// check refuses what can't be meant.
func (f *adminTokenFlags) check() error {
	if f.AdminToken != "" && f.AdminTokenFile != "" {
		return usageError(fmt.Errorf("--admin-token and --admin-token-file: want one"))
	}
	return nil
}

// token is empty when none is asked for.
func (f *adminTokenFlags) token() ([]byte, error) {
	if f.AdminTokenFile == "" {
		return []byte(f.AdminToken), nil
	}
	text, err := os.ReadFile(f.AdminTokenFile)
	if err != nil {
		return nil, usageError(fmt.Errorf("--admin-token-file: %w", err))
	}
	if text = bytes.TrimRight(text, "\r\n"); len(text) == 0 {
		return nil, usageError(fmt.Errorf("--admin-token-file %s: it is empty", f.AdminTokenFile))
	}
	return text, nil
}
