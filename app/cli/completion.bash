# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Completion of `meterstick` in bash. Installed as share/bash-completion/completions/meterstick; by hand: source it.
#
# Verbs and options stand here as tables, one line each, as --help has them; tests/io/test_completion.py compares. What
# may follow an option or a verb is asked where it is known: models of the program, meters of the configuration.

# The verbs, and the options of each. A word that ends in = takes a value.
_meterstick_common='config= state-dir= run-dir= log-level= log-file= help'
declare -gA _meterstick_options=(
    [acquire]=''
    [check]='from-cvm= from-powermeter='
    [demo]='dir= seconds='
    [export]='meter= events from= to= format='
    [ip]='record='
    [led]='record='
    [leds]='terminal record= blinkt read-outs= farewell'
    [models]='check= plan serial= points= turnaround='
    [ports]=''
    [read]='model= port= host= address= serial= baudrate= register= first-number= points= format= text csv json header
            interval= count= timeout= message-size= word-order= byte-order='
    [scan]='addresses= serial= timeout= quick'
    [simulate]='model= collide pty= tcp= rtu-tcp= address= seed= serial= turnaround= wire period= fault='
    [status]='json'
    [stick]='dir= once'
)

# What may follow an option; "verb option" goes before the option alone. What is not here is not guessed.
declare -gA _meterstick_values=(
    [byte-order]='BIG LITTLE'
    [check]=@files
    [config]=@files
    [dir]=@directories
    [export format]='csv json'
    [first-number]='0 1'
    [format]='text csv json powermeter energy-scribe'
    [from-cvm]=@files
    [from-powermeter]=@files
    [log-file]=@files
    [log-level]='error warning info debug'
    [meter]=@meters
    [model]=@models
    [points]='log all'
    [port]=@ports
    [pty]=@files
    [record]=@files
    [run-dir]=@directories
    [serial]=@settings
    [state-dir]=@directories
    [word-order]='BIG LITTLE'
)

# What a verb is given without an option; led has two.
declare -gA _meterstick_arguments=(
    [check]=@files
    [led 0]='0 1 2 3 4 5 6 7'
    [led 1]='red green blue yellow cyan magenta purple white off'
    [models]=@models
    [read]=@meters
    [scan]=@ports
)

# The command line up to the cursor, put together again where bash cuts it, at = and : (COMP_WORDBREAKS).
_meterstick_join() {
    local index word

    words=()
    for ((index = 0; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if ((index > 1)) && [[ $word == [=:]* || (${words[-1]} == *[=:] && -n $word) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
    done
}

# Which option the cursor stands behind, and the how manieth argument it is.
_meterstick_place() {
    local word

    option='' argument=0
    for word in "${words[@]:2:${#words[@]}-3}"; do
        if [[ $option ]]; then
            option=''
        elif [[ $word == --* ]]; then
            word=${word#--}
            [[ " $options " == *" $word= "* ]] && option=$word
        else
            ((argument++))
        fi
    done
}

# The meters of the configuration: sections [meter NAME] of the files that the program would read.
_meterstick_meters() {
    local -a files=(/etc/meterstick/meterstick.conf /etc/meterstick/conf.d/*.conf /var/lib/meterstick/adopted.conf)
    local index

    for ((index = 2; index < ${#words[@]} - 1; index++)); do
        case ${words[index]} in
        --config) files=("${words[index + 1]}") ;;
        --config=*) files=("${words[index]#*=}") ;;
        esac
    done
    sed -n 's/^[[:space:]]*\[meter[[:space:]]\{1,\}\([^][:space:]]*\)[[:space:]]*\].*/\1/p' "${files[@]}" 2>/dev/null
}

# What a word of the tables stands for, a line each. Files are left to readline.
_meterstick_expand() {
    case $1 in
    @files | @directories) ;;
    @meters) _meterstick_meters ;;
    @models) "${words[0]}" models 2>/dev/null | cut -d ' ' -f 1 ;;
    @ports)
        printf '%s\n' auto tcp: rtu-tcp:
        compgen -G '/dev/tty[UA][SCM][BMA]*[0-9]'
        compgen -G '/dev/serial*/by-*/*'
        ;;
    @settings) printf '%s\n' '9600 8N1' '9600 8E1' '19200 8N1' '19200 8E1' ;;
    *) compgen -W "$1" ;;
    esac
}

# Offer what begins as the word at the cursor does; what comes before it in --option=word is $3.
_meterstick_offer() {
    local current=$1 kind=$2 prefix=${3-} candidate whole before='' breaks=${COMP_WORDBREAKS//[^=:]/}

    case $kind in
    @directories) compopt -o dirnames ;;
    @files | @models | @ports) compopt -o default ;;
    @settings) compopt -o filenames ;; # their space wants a backslash
    esac 2>/dev/null

    whole=$prefix${current//[\\\"\']/} # as it is typed, so with its quoting
    # readline puts what is offered behind the last = or :, unless somebody has taken these out of COMP_WORDBREAKS
    [[ $breaks && $whole == *[$breaks]* ]] && before=${whole%"${whole##*["$breaks"]}"}
    while IFS= read -r candidate; do
        candidate=$prefix$candidate
        [[ $candidate == "$whole"* && $candidate != "$before" ]] && COMPREPLY+=("${candidate#"$before"}")
        [[ $candidate == *: ]] && compopt -o nospace 2>/dev/null
    done < <(_meterstick_expand "$kind")
}

_meterstick() {
    local -a words
    local verb option argument options current prefix=''

    COMPREPLY=()
    _meterstick_join
    verb=${words[1]} current=${words[-1]}
    if ((${#words[@]} == 2)); then
        _meterstick_offer "$current" "${!_meterstick_options[*]} --help --version"
        return
    fi
    [[ -v _meterstick_options[$verb] ]] || return

    options="${_meterstick_options[$verb]} $_meterstick_common"
    options=${options//$'\n'/ }
    _meterstick_place
    if [[ $current == --*=* && ! $option ]]; then
        prefix=${current%%=*}= current=${current#*=}
        option=${prefix#--} option=${option%=}
    fi
    if [[ $option ]]; then
        _meterstick_offer "$current" "${_meterstick_values[$verb $option]-${_meterstick_values[$option]-}}" "$prefix"
    elif [[ $current == -* ]]; then
        read -ra words <<<"${options//=/}"
        _meterstick_offer "$current" "${words[*]/#/--}"
    else
        _meterstick_offer "$current" "${_meterstick_arguments[$verb $argument]-${_meterstick_arguments[$verb]-}}"
    fi
}

complete -F _meterstick meterstick
