package frame

// MaskWords and MaskBlocks are the two ways of Mask, for the benchmark that
// sets cipherMin. MaskBlocks needs 16 bytes.
func MaskWords(p []byte, key [4]byte, offset int) {
	maskWords(p, p, rotate(key, offset))
}

// CipherMin is where Mask leaves the word loop.
const CipherMin = cipherMin

func MaskBlocks(p []byte, key [4]byte, offset int) {
	maskBlocks(p, rotate(key, offset))
}
