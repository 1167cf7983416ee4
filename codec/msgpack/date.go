package msgpack

import (
	"strconv"
)

const (
	dayMS = 86_400_000
	// maxTime is the last millisecond that a date of JavaScript can say:
	// ECMA-262, time values and time range.
	maxTime = 8_640_000_000_000_000
)

// appendISO writes a date as JSON.stringify does, in quotes; null if it is none.
func appendISO(dst []byte, t Time) []byte {
	if t > maxTime || t < -maxTime {
		return append(dst, "null"...)
	}
	days, ms := int64(t)/dayMS, int64(t)%dayMS
	if ms < 0 {
		days, ms = days-1, ms+dayMS
	}
	year, month, day := civil(days)
	dst = append(dst, '"')
	switch {
	case year < 0:
		dst = appendDigits(append(dst, '-'), -year, 6)
	case year > 9999:
		dst = appendDigits(append(dst, '+'), year, 6)
	default:
		dst = appendDigits(dst, year, 4)
	}
	dst = appendDigits(append(dst, '-'), month, 2)
	dst = appendDigits(append(dst, '-'), day, 2)
	dst = appendDigits(append(dst, 'T'), ms/3_600_000, 2)
	dst = appendDigits(append(dst, ':'), ms/60_000%60, 2)
	dst = appendDigits(append(dst, ':'), ms/1000%60, 2)
	dst = appendDigits(append(dst, '.'), ms%1000, 3)
	return append(dst, 'Z', '"')
}

// civil turns days since 1970-01-01 into a date of the Gregorian calendar. It
// counts in years that start in March, so that a leap day is a year's last.
func civil(days int64) (year, month, day int64) {
	const (
		daysPer400   = 146_097
		daysPer100   = 36_524
		daysPer4     = 1_461
		toMarch0000  = 719_468 // from 0000-03-01 to 1970-01-01
		marchIsThree = 3
	)
	days += toMarch0000
	era := days / daysPer400
	if days < 0 {
		era = (days - daysPer400 + 1) / daysPer400
	}
	rest := days - era*daysPer400
	// The last day of 4, 100 and 400 years would start one year more.
	year = (rest - rest/(daysPer4-1) + rest/daysPer100 - rest/(daysPer400-1)) / 365
	rest -= 365*year + year/4 - year/100
	fifth := (5*rest + 2) / 153 // months have 153 days in five
	day = rest - (153*fifth+2)/5 + 1
	month = fifth + marchIsThree
	year += era * 400
	if month > 12 {
		month, year = month-12, year+1
	}
	return year, month, day
}

// appendDigits writes n in width digits at least.
func appendDigits(dst []byte, n int64, width int) []byte {
	var room [20]byte
	digits := strconv.AppendInt(room[:0], n, 10)
	for range width - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}
