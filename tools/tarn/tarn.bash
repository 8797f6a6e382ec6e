# SPDX-License-Identifier: MIT
# Completion of tarn's arguments for bash.

_tarn_machines() {
    local state=${TARN_STATE:-${XDG_RUNTIME_DIR:-/tmp}/tarn-$UID}
    [ -d "$state" ] && (cd "$state" && compgen -G '[!.]*' | while read -r m; do [ -d "$m" ] && echo "$m"; done)
}

_tarn() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' i
    local commands='up xl create define virsh explain nemesis cpu-baseline put console trace log status
        list-machines down help'
    local virsh='list dominfo domstate domid domname suspend resume destroy shutdown reboot start define create
        undefine dumpxml dumpcfg vcpucount vcpuinfo vcpupin emulatorpin iothreadinfo iothreadpin setvcpus setvcpu
        schedinfo cpu-stats domstats cpu-baseline explain console'
    local xl='list vcpu-list info create destroy pause unpause shutdown reboot vcpu-pin vcpu-set
        sched-credit sched-group-create sched-group-add sched-group-remove sched-group-set sched-group-dissolve
        sched-group-list definitions explain virsh dmesg debug-keys evtchn-list top uptime domid domname rename
        help'
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --name | --timeout) ((i++)) ;;
        -*) ;;
        *)
            command=${COMP_WORDS[i]}
            break
            ;;
        esac
    done
    case $prev in
    --name)
        mapfile -t COMPREPLY < <(compgen -W "$(_tarn_machines)" -- "$cur")
        return
        ;;
    --timeout | --wait | --memory | --smp | --cpu | --append) return ;;
    --place)
        mapfile -t COMPREPLY < <(compgen -W '2012 modern' -- "$cur")
        return
        ;;
    --dom | --file | --state | --schema)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    esac
    case $command in
    '') mapfile -t COMPREPLY < <(compgen -W "--name --timeout --version --help $commands" -- "$cur") ;;
    up)
        mapfile -t COMPREPLY < <(compgen -W '--smp --memory --iso --dom --file --icount --gdb --cpu --append
            --no-kvm --wait --state' -- "$cur")
        ;;
    virsh)
        if ((COMP_CWORD == i + 1)); then
            mapfile -t COMPREPLY < <(compgen -W "$virsh" -- "$cur")
        elif [[ ${COMP_WORDS[i + 1]} =~ ^(define|create|cpu-baseline)$ ]]; then
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
        ;;
    nemesis) ((COMP_CWORD != i + 1)) || mapfile -t COMPREPLY < <(compgen -W 'add del dissolve list' -- "$cur") ;;
    down) mapfile -t COMPREPLY < <(compgen -W '--force' -- "$cur") ;;
    xl) ((COMP_CWORD != i + 1)) || mapfile -t COMPREPLY < <(compgen -W "$xl" -- "$cur") ;;
    trace)
        if ((COMP_CWORD == i + 1)); then
            mapfile -t COMPREPLY < <(compgen -W 'start stop status clear save' -- "$cur")
        elif [ "${COMP_WORDS[i + 1]}" = start ]; then
            mapfile -t COMPREPLY < <(compgen -W '-e -c -S -M' -- "$cur")
        else
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
        ;;
    log) mapfile -t COMPREPLY < <(compgen -W '-f' -- "$cur") ;;
    console) mapfile -t COMPREPLY < <(compgen -W 'Domain-0' -- "$cur") ;;
    define)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -W '--place --schema --no-schema --print' -- "$cur")
        ;;
    put | create | cpu-baseline)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    esac
}

complete -F _tarn tarn
