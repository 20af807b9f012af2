package proc

import (
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestMapping asks of each protection, by the ioctl where the kernel has it and by the text.
func TestMapping(t *testing.T) {
	fs, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	dir, err := fs.Dir(int32(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for prot := range 8 {
		at, err := unix.Mmap(-1, 0, 3*4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Munmap(at)
		if err := unix.Mprotect(at[4096:8192], prot); err != nil {
			t.Fatal(err)
		}
		want := Protection{prot&unix.PROT_READ != 0, prot&unix.PROT_WRITE != 0, prot&unix.PROT_EXEC != 0}
		base := uint64(uintptr(unsafe.Pointer(&at[0])))
		for offset, want := range map[uint64]Protection{0: {}, 4096: want, 8191: want, 8192: {}} {
			got, err := dir.Mapping(base + offset)
			if err != nil || got != want {
				t.Errorf("protection %d, offset %d: %v, %v; want %v", prot, offset, got, err, want)
			}
			fd, err := dir.Open("maps")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := mappingIn(fd, base+offset); err != nil || got != want {
				t.Errorf("protection %d, offset %d, by the text: %v, %v; want %v", prot, offset, got, err, want)
			}
			unix.Close(fd)
		}
	}
}

// TestMappingInLongText finds a mapping whose line is split between two reads.
func TestMappingInLongText(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for i := range 2000 {
		fmt.Fprintf(file, "%x-%x -w-p 00000000 00:00 0 %*s\n", 0x10000*(i+1), 0x10000*(i+1)+0x1000, 40+i%7, "name")
	}
	for _, i := range []uint64{0, 1, 777, 1999} {
		if _, err := file.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		if got, err := mappingIn(int(file.Fd()), 0x10000*(i+1)+8); err != nil || got != (Protection{Write: true}) {
			t.Errorf("line %d: %v, %v", i, got, err)
		}
	}
}
