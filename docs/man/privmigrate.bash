# bash completion of privmigrate; written by tools/manual.py
_privmigrate() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} known=
    local command=${COMP_WORDS[1]} action=${COMP_WORDS[2]}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        known="audit callsites caps convert learn match rewrite shim sudoers --help --version"
    else
        case "$command $before" in
        "audit --profile") known="production migrate" ;;
        "audit --fail-on") known="note low medium high critical" ;;
        "audit --format") known="text json sarif html baseline" ;;
        "callsites --format") known="text json" ;;
        "caps --format") known="text json" ;;
        "convert --runtime") known="privmigrate oslo" ;;
        "convert --show") known="rules sites ops" ;;
        "convert --format") known="text json" ;;
        "learn --source") known="auto tracepoint kprobe search" ;;
        "learn --format") known="text json" ;;
        "match --mode") known="exact strict" ;;
        "match --format") known="text json" ;;
        "rewrite --format") known="text json" ;;
        "shim --format") known="text json" ;;
        *)
            case "$command $action" in
            "caps show") known="--format --help --json --service" ;;
            "caps explain") known="--format --help --json --learned" ;;
            "shim install") known="--accept-writable --bindir --config --divert --dry-run --help --interpreter --overlay --python --root --service --systemd --user" ;;
            "shim uninstall") known="--force --help --root --service" ;;
            "shim status") known="--config --format --help --json --root --service" ;;
            "shim learned") known="--config --help" ;;
            "audit "*) known="--baseline --explain --fail-on --format --help --json --profile --root --score" ;;
            "callsites "*) known="--filters --format --help --json" ;;
            "caps "*) known="--help explain show" ;;
            "convert "*) known="--callsites --capabilities --check --diff --format --help --json --keep --keep-unreferenced --output --package --replace --runtime --show --single-context" ;;
            "learn "*) known="--all --check --clean-up --filters --form --format --from --help --ignore-output --json --list --once --output --repeatable --set-up --source --stdin --timeout --user --verbose --yes" ;;
            "match "*) known="--batch --format --help --json --mode --why-not" ;;
            "rewrite "*) known="--check --diff --filters --format --help --json --output --prove --to" ;;
            "shim "*) known="--help install learned status uninstall" ;;
            "sudoers "*) known="--config-dir --config-file --help --helper --user" ;;
            esac
            [[ $word == -* ]] || [[ " caps shim " == *" $before "* ]] || known=
            ;;
        esac
    fi
    [ -z "$known" ] || mapfile -t COMPREPLY < <(compgen -W "$known" -- "$word")
}
complete -o default -F _privmigrate privmigrate
