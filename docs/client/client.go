// Package client holds the browser client of the protocol wsd.json.v1, for the
// daemon to serve.
package client

import _ "embed"

// Script is the file wsd-pubsub.js.
//
//go:embed wsd-pubsub.js
var Script []byte
