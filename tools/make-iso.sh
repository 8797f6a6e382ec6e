#!/bin/sh
# SPDX-License-Identifier: MIT
# make-iso.sh OUT.iso LIST: a GRUB ISO that boots tarn through Multiboot 2 with the modules of LIST
# (as tools/demo.txt). APPEND is added to the hypervisor's command line, O is the build folder. GRUB and tarn both speak on the first serial line.
set -eu
out=$1
list=$2
O=${O:-build}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/boot/grub"
cp "$O/tarn.elf" "$tree/boot/tarn.elf"
{
    echo 'serial --unit=0 --speed=115200'
    echo 'terminal_input serial'
    echo 'terminal_output serial'
    echo 'set timeout=0'
    echo 'set default=0'
    echo 'menuentry "tarn" {'
    # GRUB drops the first word, the path, handles quotes as a shell does, and passes a word
    # with blanks on as "key=a b"
    echo "    multiboot2 /boot/tarn.elf $(sed -n 's/^tarn //p' "$list") ${APPEND:-}"
    grep -v -e '^#' -e '^tarn ' "$list" | while read -r file string; do
        case $file in
        *.*) file=$O/$file ;;
        *) file=$O/guests/$file.elf ;;
        esac
        [ -e "$file" ] || { echo "iso: $file is not there" >&2; continue; }
        cp "$file" "$tree/boot/"
        printf '    module2 /boot/%s %s\n' "${file##*/}" \
            "$(printf '%s' "$string" | sed "s/'/'\\\\''/g; s/\([^ ]*\)\"\([^\"]*\)\"/'\1\2'/g")"
    done
    echo '    boot'
    echo '}'
} >"$tree/boot/grub/grub.cfg"
if ! grub-mkrescue -o "$out" "$tree" --compress=no --install-modules="multiboot2 serial terminal normal iso9660 biosdisk search part_msdos echo" \
    --locales= --fonts= --themes= >"$tree.log" 2>&1; then
    cat "$tree.log" >&2
    rm -f "$tree.log" "$out"
    exit 1
fi
rm -f "$tree.log"
