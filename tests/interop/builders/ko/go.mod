module plimsoll.dev/interop/ko

go 1.24
