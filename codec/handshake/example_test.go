package handshake_test

import (
	"errors"
	"fmt"

	"github.com/fe4bcecb/wsd/codec/handshake"
)

// A server's way from received bytes to its answer.
func Example() {
	received := []byte(rfc + "\x81\x80\x00\x00\x00\x00")

	n := handshake.HeadLen(received, 0)
	if !handshake.Sniff(received) || n == 0 {
		fmt.Println("not a handshake, or not all here")
		return
	}
	var r handshake.Request
	err := r.Parse(received[:n])
	if err == nil {
		err = r.Check()
	}
	var wrong *handshake.Error
	if errors.As(err, &wrong) {
		fmt.Printf("%s", handshake.AppendError(nil, wrong.Status, nil, wrong.Text))
		return
	}
	protocol, _ := handshake.NextItem(r.Protocols)
	out, err := handshake.AppendResponse(nil, r.Key, protocol, nil, nil)
	fmt.Printf("%s: %q, %v\n", r.Path, out, err)
	fmt.Printf("first frame: % x\n", received[n:])
	// Output:
	// /chat: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n", <nil>
	// first frame: 81 80 00 00 00 00
}
