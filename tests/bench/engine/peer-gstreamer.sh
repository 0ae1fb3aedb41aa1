#!/bin/sh
# peer-gstreamer.sh: GStreamer's cost of an item with 8 bytes: fakesrc ! queue ! identity ! fakesink.
#
#   peer-gstreamer.sh WALL ITEMS
#
# Called by engine.sh. gst-launch-1.0 takes long to start, so it runs with two sizes and the
# difference counts. WALL is engine-wall, which times a command.
set -eu
wall=$1
many=$2
few=$((many / 10))

ms() {
	"$wall" 1 gst-launch-1.0 -q fakesrc num-buffers="$1" sizetype=fixed sizemax=8 ! queue ! identity ! fakesink
}

a=$(ms "$few")
b=$(ms "$many")
printf '%s %s %s %s\n' "$a" "$few" "$b" "$many" |
	awk '{ printf "gstreamer %.3f ns\n", ($6 - $2) * 1e6 / ($8 - $4) }'
