package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/test/rawws"
)

func TestControl(t *testing.T) {
	runAll(t, everywhere(slices.Concat(pingCases(), badControlCases())))
}

func pingCases() (cases []Case) {
	for _, payload := range []string{"", "x", "Hello", letters(125), "\x00\xff\xfe\x80", "\r\n\r\n"} {
		cases = append(cases, Case{
			Name: fmt.Sprintf("ping with %d bytes %.5q", len(payload), payload), Section: "RFC 6455 5.5.2, 5.5.3",
			Steps: steps(send(ping(payload)), wantPong(payload)),
		})
	}
	return append(cases,
		Case{
			Name: "ping in packets of one byte", Section: "RFC 6455 5.5.2",
			Steps: steps(chop(1, ping(letters(125)), text("after")), wantPong(letters(125)), wantText("after")),
		},
		Case{
			Name: "hundred pings", Section: "RFC 6455 5.5.2",
			Steps: steps(send(slices.Repeat(ping("many"), 100)), repeat(100, wantPong("many"))),
		},
		Case{
			Name: "ping between fragments", Section: "RFC 6455 5.4, 5.5.2",
			Steps: steps(
				send(part(rawws.Text, "one "), ping("1")), wantPong("1"),
				send(part(rawws.Continuation, "two "), ping("2"), ping("3")), wantPong("2"), wantPong("3"),
				send(last("three")), wantText("one two three")),
		},
		Case{
			Name: "unsolicited pongs", Section: "RFC 6455 5.5.3",
			Steps: steps(send(pong(""), pong(letters(125)), text("still here")), wantText("still here")),
		},
		Case{
			Name: "pong between fragments", Section: "RFC 6455 5.4, 5.5.3",
			Steps: steps(send(part(rawws.Binary, "a"), pong("p"), last("b")), wantBinary([]byte("ab"))),
		},
	)
}

func badControlCases() (cases []Case) {
	names := map[byte]string{rawws.Close: "close", rawws.Ping: "ping", rawws.Pong: "pong"}
	for _, op := range []byte{rawws.Close, rawws.Ping, rawws.Pong} {
		name := names[op]
		long := rawws.ClosePayload(1000, letters(124))
		cases = append(cases,
			Case{
				Name: name + " of 126 bytes", Section: "RFC 6455 5.5",
				Steps: steps(send(frame(op, long)), fails(1002)),
			},
			Case{
				Name: name + " of 126 bytes, header alone", Section: "RFC 6455 5.5",
				Steps:  steps(send(frame(op, long)[:4]), fails(1002)),
				Except: Except{"gws": {"reads the mask first", steps(send(frame(op, long)[:8]), fails(1002))}},
			},
			Case{
				Name: name + " of 65536 bytes", Section: "RFC 6455 5.5",
				Steps: steps(send(announce(true, op, 65536, "")), fails(1002)),
			},
			Case{
				Name: name + " without FIN", Section: "RFC 6455 5.5",
				Steps: steps(send(part(op, "\x03\xe8")), fails(1002)),
			},
			Case{
				Name: name + " without FIN between fragments", Section: "RFC 6455 5.4, 5.5",
				Steps: steps(send(part(rawws.Text, "a"), part(op, "\x03\xe8"), last("b")), fails(1002)),
			},
		)
	}
	return cases
}

func TestClosing(t *testing.T) {
	runAll(t, everywhere(slices.Concat(closeCases(), closeCodeCases(), afterCloseCases())))
}

func closeCases() []Case {
	euro := strings.Repeat("\u20ac", 41) // 123 bytes
	return []Case{
		{
			Name: "no payload", Section: "RFC 6455 5.5.1",
			Steps: steps(send(frame(rawws.Close, nil)), wantClose(1000, 1005), wantEnd()),
		},
		{
			Name: "one byte", Section: "RFC 6455 5.5.1",
			Steps:  steps(send(frame(rawws.Close, []byte{3})), fails(1002)),
			Except: Except{"gorilla": {"takes it for an empty one", steps(send(frame(rawws.Close, []byte{3})), wantClose(1005), wantEnd())}},
		},
		{
			Name: "longest reason", Section: "RFC 6455 5.5.1",
			Steps: steps(send(closing(1000, letters(123))), wantClose(1000), wantEnd()),
		},
		{
			Name: "reason of code points", Section: "RFC 6455 5.5.1",
			Steps: steps(send(closing(1000, euro)), wantClose(1000), wantEnd()),
		},
		{
			Name: "reason cut inside a code point", Section: "RFC 6455 5.5.1, 8.1",
			Steps:  steps(send(closing(1000, euro[:122])), fails(1007)),
			Except: badReason(euro[:122]),
		},
		{
			Name: "reason with a surrogate", Section: "RFC 6455 5.5.1, 8.1",
			Steps:  steps(send(closing(1000, "a\xed\xa0\x80")), fails(1007)),
			Except: badReason("a\xed\xa0\x80"),
		},
		{
			Name: "reason with a lone byte", Section: "RFC 6455 5.5.1, 8.1",
			Steps:  steps(send(closing(1000, "\xff")), fails(1007)),
			Except: badReason("\xff"),
		},
		{
			Name: "in packets of one byte", Section: "RFC 6455 5.5.1",
			Steps: steps(chop(1, closing(1000, "slowly")), wantClose(1000), wantEnd()),
		},
		{
			Name: "between fragments", Section: "RFC 6455 5.4, 5.5.1",
			Steps: steps(send(part(rawws.Text, "never ended"), closing(1000, "")), wantClose(1000), wantEnd()),
		},
		{
			Name: "behind a message", Section: "RFC 6455 7.1.2",
			Steps: steps(send(text("first"), closing(1000, "")), wantText("first"), wantClose(1000), wantEnd()),
		},
		{
			Name: "behind a message, sending side closed", Section: "RFC 6455 7.1.2",
			Steps: steps(send(text("first"), closing(1000, "")), halfClose(), wantText("first"), wantClose(1000), wantEnd()),
		},
	}
}

func badReason(reason string) Except {
	return Except{"gorilla": {"fails a reason that is not UTF-8 with 1002", steps(send(closing(1000, reason)), fails(1002))}}
}

func closeCodeCases() (cases []Case) {
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		c := Case{
			Name: fmt.Sprint("code ", code), Section: "RFC 6455 7.4",
			Steps:  steps(send(closing(code, "why")), wantClose(code), wantEnd()),
			Except: Except{},
		}
		if code > 1000 && code < 1016 {
			c.Except["gws"] = Exception{"answers 1000", steps(send(closing(code, "why")), wantClose(1000), wantEnd())}
		}
		if code == 1014 {
			refused := steps(send(closing(code, "why")), fails(1002))
			c.Except = both("does not know 1014, registered after the RFC", refused...)
		}
		cases = append(cases, c)
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 65535} {
		cases = append(cases, Case{
			Name: fmt.Sprint("forbidden code ", code), Section: "RFC 6455 7.4.1, 7.4.2",
			Steps: steps(send(closing(code, "why")), fails(1002)),
		})
	}
	return cases
}

func afterCloseCases() (cases []Case) {
	for name, f := range map[string][]byte{
		"text":    text("too late"),
		"ping":    ping("too late"),
		"close":   closing(1001, "again"),
		"garbage": []byte("\xff\xff\xff\xff"),
		"much":    slices.Repeat(text(letters(100)), 1000),
	} {
		cases = append(cases, Case{
			Name: name + " behind the close", Section: "RFC 6455 5.5.1, 1.4",
			Steps: steps(send(closing(1000, ""), f), wantClose(1000), wantEnd()),
		})
	}
	return append(cases, Case{
		Name: "text behind a protocol error", Section: "RFC 6455 7.1.7",
		Steps: steps(send(part(rawws.Ping, ""), text("too late")), fails(1002)),
	})
}
