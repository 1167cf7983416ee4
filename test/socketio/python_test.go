package socketio

import "testing"

// python is Debian's, whose packages it finds: another in the path would not.
const python = "/usr/bin/python3"

func TestPython(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		suite(t, settings{URL: sioserver(t, by).url()}, python, "py/run.py")
	})
}
