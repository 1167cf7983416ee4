package sio

import "github.com/fe4bcecb/wsd/codec/jsontext"

// Scan checks a whole text.
func Scan(b []byte, maxDepth int) error {
	end, err := scan(b, 0, maxDepth)
	if err == nil && jsontext.SkipSpace(b, end) != len(b) {
		err = ErrPayload
	}
	return err
}

// Placeholders are the numbers of the placeholders in valid JSON.
func Placeholders(b []byte) (nums []int, err error) {
	spans, err := placeholders(nil, b)
	for _, s := range spans {
		nums = append(nums, s.num)
	}
	return nums, err
}
