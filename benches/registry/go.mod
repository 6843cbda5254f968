module plimsoll.dev/bench

go 1.25
