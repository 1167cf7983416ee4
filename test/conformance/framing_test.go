package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/test/rawws"
)

var sizes = []int{0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 1023, 1024, 4095, 4096,
	16383, 16384, 16385, 65534, 65535, 65536, 65537, 131072, 1 << 20}

func TestFraming(t *testing.T) {
	runAll(t, everywhere(slices.Concat(framingCases(), choppedCases(), lengthCases())))
}

// everywhere repeats the cases on the paths with compression negotiated: frames
// that do not use it must be served as before. RFC 7692 6
func everywhere(cases []Case) []Case {
	var all []Case
	for _, path := range []string{plain, shared, dedicated} {
		for _, c := range cases {
			c.Name = path[1:] + "/" + c.Name
			c.Profile, c.Offer = path, offering[path]
			all = append(all, c)
		}
	}
	return all
}

func framingCases() (cases []Case) {
	for _, n := range sizes {
		cases = append(cases,
			Case{
				Name: fmt.Sprint("text/", n), Section: "RFC 6455 5.2, 5.6",
				Steps: steps(echo(textOf(letters(n)))),
			},
			Case{
				Name: fmt.Sprint("binary/", n), Section: "RFC 6455 5.2, 5.6",
				Steps: steps(echo(binaryOf(pattern(n)))),
			})
	}
	return append(cases,
		Case{
			Name: "pipelined", Section: "RFC 6455 5.4",
			Steps: steps(send(text("a"), text("bc"), text(""), text("def")),
				wantText("a"), wantText("bc"), wantText(""), wantText("def")),
		},
		Case{
			Name: "thousand in a row", Section: "RFC 6455 5.4",
			Steps: steps(repeat(10, send(slices.Repeat(text("again and again"), 100)), repeat(100, wantText("again and again")))),
		},
		Case{
			Name: "mask key zero", Section: "RFC 6455 5.3",
			Steps: steps(send([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'}), wantText("hi")),
		},
	)
}

func choppedCases() (cases []Case) {
	for _, n := range []int{1, 2, 3, 5, 7, 13, 125, 1021, 4099} {
		for _, size := range []int{0, 1, 125, 126, 300, 65536} {
			if size/n > 400 {
				continue
			}
			cases = append(cases, Case{
				Name: fmt.Sprintf("%d bytes in packets of %d", size, n), Section: "RFC 6455 5.2",
				Steps: steps(
					chop(n, frame(rawws.Binary, pattern(size)), text("next")),
					wantBinary(pattern(size)), wantText("next")),
			})
		}
	}
	return cases
}

// lengthCases are longer forms of a payload length than needed.
func lengthCases() (cases []Case) {
	for _, c := range []struct{ size, bytes int }{{0, 2}, {1, 2}, {125, 2}, {0, 8}, {125, 8}, {126, 8}, {65535, 8}} {
		f := rawws.Frame{Fin: true, Op: rawws.Binary, Payload: pattern(c.size), LengthBytes: c.bytes}.Bytes()
		cases = append(cases, Case{
			Name: fmt.Sprintf("length %d in %d bytes", c.size, c.bytes), Section: "RFC 6455 5.2",
			Steps:  steps(send(f), fails(1002)),
			Except: both("takes longer forms of a length", send(f), wantBinary(pattern(c.size))),
		})
	}
	return cases
}
