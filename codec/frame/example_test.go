package frame_test

import (
	"errors"
	"fmt"

	"github.com/gobwas/ws"

	"github.com/fe4bcecb/wsd/codec/frame"
)

// A server's way through one frame.
func Example() {
	in := []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58} // RFC 6455 5.7
	rules := frame.Rules{Masked: true, MaxMessage: 16 << 10}
	var h frame.Header
	var message frame.Message
	var text frame.UTF8

	n, err := frame.ParseHeader(in, &h)
	if err != nil || n == 0 {
		fmt.Println("wrong, or not all here:", err)
		return
	}
	if err := message.Accept(&h, &rules); err != nil {
		fmt.Println(err)
		return
	}
	payload := in[n : n+int(h.Length)]
	frame.Mask(payload, h.Mask, 0)
	if !text.Write(payload) || message.Done && !text.Complete() {
		fmt.Println(frame.ErrInvalidUTF8)
		return
	}
	fmt.Printf("%s\n% x\n", payload, frame.AppendFrame(nil, message.Op, payload))
	// Output:
	// Hello
	// 81 05 48 65 6c 6c 6f
}

// An error carries the code of the Close frame that answers it.
func ExampleProtocolError() {
	var message frame.Message
	h := frame.Header{Fin: true, OpCode: ws.OpContinuation, Masked: true}
	err := message.Accept(&h, &frame.Rules{Masked: true})

	var wrong *frame.ProtocolError
	if errors.As(err, &wrong) {
		fmt.Println(wrong)
		fmt.Printf("%q\n", frame.AppendClose(nil, wrong.Code, wrong.Text))
	}
	// Output:
	// frame: continuation without a message (RFC 6455 5.4)
	// "\x03\xeacontinuation without a message"
}
