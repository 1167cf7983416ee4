package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/test/rawws"
)

func TestReserved(t *testing.T) {
	runAll(t, slices.Concat(rsvCases(), deflateRsvCases(), everywhere(opcodeCases()), everywhere(maskCases())))
}

var opNames = map[byte]string{
	rawws.Continuation: "continuation", rawws.Text: "text", rawws.Binary: "binary",
	rawws.Close: "close", rawws.Ping: "ping", rawws.Pong: "pong",
}

// withRsv is a frame of op with reserved bits, behind what makes it legal otherwise.
func withRsv(op, rsv byte) []byte {
	f := rawws.Frame{Fin: true, Op: op, Rsv: rsv, Payload: []byte("\x03\xe8")}.Bytes()
	if op == rawws.Continuation {
		return append(part(rawws.Text, "begin"), f...)
	}
	return f
}

// rsvCases are all reserved bits on all opcodes without an extension.
func rsvCases() (cases []Case) {
	for op, name := range opNames {
		for rsv := byte(1); rsv < 8; rsv++ {
			cases = append(cases, Case{
				Name: fmt.Sprintf("plain/%s with %03b", name, rsv), Section: "RFC 6455 5.2", Profile: plain,
				Steps: steps(send(text("good")), wantText("good"), send(withRsv(op, rsv)), fails(1002)),
			})
		}
	}
	return cases
}

// deflateRsvCases are those that stay forbidden with permessage-deflate: RSV2,
// RSV3, and RSV1 anywhere but on a message's first frame. RFC 7692 6.1
func deflateRsvCases() (cases []Case) {
	for op, name := range opNames {
		for rsv := byte(1); rsv < 8; rsv++ {
			if rsv == rawws.Rsv1 && (op == rawws.Text || op == rawws.Binary) {
				continue
			}
			for _, path := range []string{shared, dedicated} {
				cases = append(cases, Case{
					Name: fmt.Sprintf("%s/%s with %03b", path[1:], name, rsv), Section: "RFC 7692 6.1",
					Profile: path, Offer: pmd,
					Steps:  steps(send(withRsv(op, rsv)), fails(1002)),
					Except: gorillaExcept(op, rsv, Except{"gws": gwsRsv(op, rsv)}),
				})
			}
		}
	}
	return cases
}

// gwsRsv is what gws does with reserved bits once compression is on: it looks
// at RSV1 of a first frame and ignores the rest.
func gwsRsv(op, rsv byte) Exception {
	begin := send(withRsv(op, rsv))
	switch {
	case op == rawws.Continuation, op == rawws.Text && rsv&rawws.Rsv1 == 0:
		return Exception{"takes the message, which is no UTF-8", steps(begin, fails(1007))}
	case op == rawws.Text:
		return Exception{"inflates the message to nothing", steps(begin, wantText(""))}
	case op == rawws.Binary && rsv&rawws.Rsv1 != 0:
		return Exception{"inflates the message to nothing", steps(begin, wantBinary(nil))}
	case op == rawws.Binary:
		return Exception{"ignores the bits", steps(begin, wantBinary([]byte("\x03\xe8")))}
	}
	return ignoresRsv(op, begin)
}

// gorillaExcept: gorilla takes RSV1 anywhere once compression is on.
func gorillaExcept(op, rsv byte, e Except) Except {
	begin := send(withRsv(op, rsv))
	switch {
	case rsv != rawws.Rsv1:
		return e
	case op == rawws.Continuation:
		e["gorilla"] = Exception{"takes the message, which is no UTF-8", steps(begin, fails(1007))}
	default:
		e["gorilla"] = ignoresRsv(op, begin)
	}
	return e
}

func ignoresRsv(op byte, begin Step) Exception {
	const why = "ignores the bits of a control frame"
	switch op {
	case rawws.Close:
		return Exception{why, steps(begin, wantClose(1000), wantEnd())}
	case rawws.Ping:
		return Exception{why, steps(begin, wantPong("\x03\xe8"))}
	}
	return Exception{why, steps(begin, echo(textOf("alive")))}
}

func opcodeCases() (cases []Case) {
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		for _, payload := range []string{"", "x", letters(125)} {
			f := frame(op, []byte(payload))
			cases = append(cases,
				Case{
					Name: fmt.Sprintf("opcode %d with %d bytes", op, len(payload)), Section: "RFC 6455 5.2",
					Steps: steps(send(text("good"), f, text("too late")), wantText("good"), fails(1002)),
				},
				Case{
					Name: fmt.Sprintf("opcode %d with %d bytes between fragments", op, len(payload)), Section: "RFC 6455 5.2, 5.4",
					Steps: steps(send(part(rawws.Text, "a"), f, last("b")), fails(1002)),
				})
		}
		cases = append(cases, Case{
			Name: fmt.Sprintf("opcode %d without FIN", op), Section: "RFC 6455 5.2",
			Steps: steps(send(part(op, "x")), fails(1002)),
		})
	}
	return cases
}

// maskCases are frames that a client must not send: unmasked ones.
func maskCases() (cases []Case) {
	for op, name := range opNames {
		f := rawws.Frame{Fin: true, Op: op, Payload: []byte("\x03\xe8"), Unmasked: true}.Bytes()
		cases = append(cases, Case{
			Name: "unmasked " + name, Section: "RFC 6455 5.1",
			Steps: steps(send(f), fails(1002)),
		})
	}
	return append(cases,
		Case{
			Name: "unmasked without payload", Section: "RFC 6455 5.1",
			Steps: steps(send([]byte{0x81, 0}), fails(1002)),
		},
		Case{
			Name: "unmasked in the middle of a message", Section: "RFC 6455 5.1",
			Steps: steps(send(part(rawws.Text, "a"), []byte{0x80, 1, 'b'}), fails(1002)),
		})
}
