package main

import "errors"

// tlsFlags are those of a server that encrypts by itself.
type tlsFlags struct {
	TLSCert string `name:"tls-cert" placeholder:"FILE" help:"Serve TLS (https, wss) on --listen with the certificates in this PEM file, the server's first. Read again when it changes, and on SIGHUP."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" help:"PEM file with the private key to --tls-cert."`
}

// check refuses what can't be meant.
func (f *tlsFlags) check() error {
	if (f.TLSCert == "") != (f.TLSKey == "") {
		return usageError(errors.New("--tls-cert and --tls-key belong together: want both or none"))
	}
	return nil
}
