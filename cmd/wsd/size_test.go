package main

import "testing"

func TestSize(t *testing.T) {
	tests := []struct {
		text string
		want size // 0: an error
		back string
	}{
		{"16384", 16384, "16KiB"}, {"16KiB", 16384, "16KiB"}, {"16k", 16384, "16KiB"}, {"16 kib", 16384, "16KiB"},
		{"1.5KiB", 1536, "1536B"}, {"1MB", 1e6, "1000000B"}, {"1MiB", 1 << 20, "1MiB"}, {"1GiB", 1 << 30, "1GiB"},
		{"1", 1, "1B"}, {"100B", 100, "100B"}, {"unlimited", unlimited, "unlimited"}, {"2KB", 2000, "2000B"},
		{"", 0, ""}, {"KiB", 0, ""}, {"0", 0, ""}, {"-1", 0, ""}, {"1.5", 0, ""}, {"2GiB", 0, ""},
		{"1e400", 0, ""}, {"NaN", 0, ""}, {"inf", 0, ""}, {"16KiBs", 0, ""},
	}
	for _, tt := range tests {
		var got size
		err := got.UnmarshalText([]byte(tt.text))
		if (err != nil) != (tt.want == 0) || got != tt.want {
			t.Errorf("%q: %d, %v; want %d", tt.text, got, err, tt.want)
		}
		if err != nil {
			continue
		}
		if got.String() != tt.back {
			t.Errorf("%q prints as %q, want %q", tt.text, got, tt.back)
		}
		var again size
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%q is read back as %d, %v", got, again, err)
		}
	}
}
