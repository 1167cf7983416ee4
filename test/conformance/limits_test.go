package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/test/rawws"
)

func TestLimits(t *testing.T) {
	runAll(t, slices.Concat(lengthLimits(), fragmentLimits(), inflatedLimits(), fragmentCounts()))
}

// small are the paths with a limit of 16 KiB.
var small = []string{plainSmall, sharedSmall, dedicatedSmall}

func lengthLimits() (cases []Case) {
	for _, path := range small {
		add := func(name string, s []Step, e Except) {
			cases = append(cases, Case{
				Name: path[1:] + "/" + name, Section: "RFC 6455 10.4, 7.4.1",
				Profile: path, Offer: offering[path], Steps: s, Except: e,
			})
		}
		add("exactly", steps(echo(binaryOf(pattern(smallLimit))), echo(textOf(letters(smallLimit)))), nil)
		add("one above", steps(send(frame(rawws.Binary, pattern(smallLimit+1))), fails(1009)), nil)
		for _, n := range []uint64{smallLimit + 1, 65535, 65536, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 62, 1<<63 - 1} {
			add(fmt.Sprintf("header of %d bytes alone", n), steps(send(announce(true, rawws.Binary, n, "")), fails(1009)), nil)
			add(fmt.Sprintf("header of %d bytes without FIN alone", n), steps(send(announce(false, rawws.Text, n, "")), fails(1009)), nil)
		}
		for _, n := range []uint64{1 << 63, 1<<63 + 1, 1<<64 - 1} {
			s := send(announce(true, rawws.Binary, n, ""))
			add(fmt.Sprintf("header of %d bytes alone", n), steps(s, fails(1002)), Except{
				"gws":     {"panics on a negative length", nil},
				"gorilla": {"ends without a Close frame", steps(s, wantEnd())},
			})
		}
	}
	return cases
}

func fragmentLimits() (cases []Case) {
	for _, path := range small {
		begin := part(rawws.Binary, string(pattern(10000)))
		rest := smallLimit - 10000
		late := func(frames ...[]byte) Except {
			return Except{"gws": {"adds the lengths up once the payload is there", steps(send(frames...), fails(1009))}}
		}
		for _, c := range []Case{
			{
				Name:  "exactly",
				Steps: steps(send(begin, last(string(pattern(smallLimit)[10000:]))), wantBinary(pattern(smallLimit))),
			},
			{
				Name:  "one above",
				Steps: steps(send(begin, last(string(pattern(rest+1)))), fails(1009)),
			},
			{
				Name:   "one above, header alone",
				Steps:  steps(send(begin, announce(true, rawws.Continuation, uint64(rest+1), "")), fails(1009)),
				Except: late(begin, last(string(pattern(rest+1)))),
			},
			{
				Name:   "one above without FIN, header alone",
				Steps:  steps(send(begin, announce(false, rawws.Continuation, uint64(rest+1), "")), fails(1009)),
				Except: late(begin, part(rawws.Continuation, string(pattern(rest+1)))),
			},
			{
				Name:  "sum beyond 63 bits",
				Steps: steps(send(begin, announce(true, rawws.Continuation, 1<<63-1, "")), fails(1009)),
				Except: Except{"gorilla": {"the sum overflows, and it ends without a Close frame",
					steps(send(begin, announce(true, rawws.Continuation, 1<<63-1, "")), wantEnd())}},
			},
			{
				Name: "control frames do not count",
				Steps: steps(send(begin, ping(letters(125)), last(string(pattern(smallLimit)[10000:]))),
					wantPong(letters(125)), wantBinary(pattern(smallLimit))),
			},
			{
				Name:  "each message anew",
				Steps: steps(repeat(3, send(begin, last("")), wantBinary(pattern(10000)))),
			},
		} {
			c.Name = path[1:] + "/across fragments/" + c.Name
			c.Section, c.Profile, c.Offer = "RFC 6455 10.4", path, offering[path]
			cases = append(cases, c)
		}
	}
	return cases
}

// inflatedLimits judge a message by its size after inflation, and let the wire
// form be as much larger as an honest deflater makes it.
func inflatedLimits() (cases []Case) {
	zeros := func(n int) string { return string(make([]byte, n)) }
	noise := string(random(smallLimit))
	stored := rawws.Compress([]byte(noise), 0)
	bigWire := Except{
		"gws":     {"holds the wire form to the limit", steps(send(deflatedAs(stored)), fails(1009))},
		"gorilla": {"holds the wire form to the limit", steps(send(deflatedAs(stored)), fails(1009))},
	}
	above, bomb := deflated(rawws.Binary, zeros(smallLimit+1)), rawws.Compress(make([]byte, 10<<20), 9)
	fragments := split(rawws.Frame{Op: rawws.Text, Rsv: rawws.Rsv1}, bomb, 100)
	gwsBomb := func(f []byte) Except {
		return Except{"gws": {"fails a failed inflation with 1011", steps(send(f), fails(1011))}}
	}
	for _, path := range []string{sharedSmall, dedicatedSmall} {
		for _, c := range []Case{
			{
				Name:  "exactly",
				Steps: steps(send(deflated(rawws.Binary, zeros(smallLimit))), wantBinary(make([]byte, smallLimit))),
			},
			{
				Name:   "one above",
				Steps:  steps(send(above), fails(1009)),
				Except: gwsBomb(above),
			},
			{
				Name:   "bomb of 10 MB",
				Steps:  steps(send(deflatedAs(bomb)), fails(1009)),
				Except: gwsBomb(deflatedAs(bomb)),
			},
			{
				Name:   "bomb of 10 MB in fragments",
				Steps:  steps(send(fragments), fails(1009)),
				Except: gwsBomb(fragments),
			},
			{
				Name:   "larger on the wire than inflated",
				Steps:  steps(send(deflatedAs(stored)), wantBinary([]byte(noise))),
				Except: bigWire,
			},
			{
				Name:  "wire form far too large, header alone",
				Steps: steps(send(rawws.Frame{Fin: true, Op: rawws.Binary, Rsv: rawws.Rsv1, Announce: true, Length: 1 << 30}.Bytes()), fails(1009)),
			},
			{
				Name:  "after a bomb's worth of honest messages",
				Steps: steps(repeat(20, send(deflated(rawws.Binary, zeros(smallLimit))), wantBinary(make([]byte, smallLimit)))),
			},
		} {
			c.Name = path[1:] + "/inflated/" + c.Name
			c.Section, c.Profile, c.Offer = "RFC 7692 8, RFC 6455 10.4", path, pmd
			cases = append(cases, c)
		}
	}
	return cases
}

// fragmentCounts: wsd takes 1,024 fragments a message, or a 64th of the limit
// where that is more; the RFC gives any server the right to such a limit.
func fragmentCounts() (cases []Case) {
	for _, path := range small {
		many := slices.Concat(part(rawws.Binary, "x"), slices.Repeat(part(rawws.Continuation, ""), 1022))
		tooMany := slices.Repeat(part(rawws.Continuation, ""), 2)
		cases = append(cases,
			Case{
				Name: path[1:] + "/1024 fragments", Section: "RFC 6455 5.4", Profile: path, Offer: offering[path],
				Steps: steps(send(many, last("y")), wantBinary([]byte("xy"))),
			},
			Case{
				Name: path[1:] + "/1025 fragments", Section: "RFC 6455 10.4", Profile: path, Offer: offering[path],
				Steps:  steps(send(many, tooMany), fails(1009)),
				Except: both("counts no fragments", send(many, tooMany, last("y")), wantBinary([]byte("xy"))),
			})
	}
	return cases
}
