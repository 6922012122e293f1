"""Shell completion for bash, zsh and fish: the script of each shell, and the answers to its requests.

A shell runs txmon with the command line before the cursor in COMP_LINE. The answer has one line per proposal. The line
has `plain`, `file` or `dir`, the whole word, and its description, with tabs between them. click's own scripts do not
complete a value after `=`, because bash ends words there.
"""

import os
from typing import Any, Final

from click.shell_completion import (
    CompletionItem,
    ShellComplete,
    add_completion_class,
    split_arg_string,
)

VARIABLE: Final = "_TXMON_COMPLETE"
SCRIPTS: Final = {
    "bash": r"""_txmon_completion() {
    local type value help
    COMPREPLY=()
    while IFS=$'\t' read -r type value help; do
        case "$type" in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                [[ "$value" == *[^A-Za-z0-9_./:=,@%+-]* ]] && printf -v value %q "$value"
                [[ "$value" == *= ]] && compopt -o nospace
                COMPREPLY+=("$value") ;;
        esac
    done < <(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \
        _TXMON_COMPLETE=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F _txmon_completion txmon
""",
    "zsh": r"""#compdef txmon
_txmon_completion() {
    local line type value
    local -a parts closed closed_shown open
    (( $+commands[txmon] )) || return 1
    for line in "${(@f)$(env COMP_LINE="${(j: :)words[1,CURRENT]}" _TXMON_COMPLETE=zsh_complete txmon 2>/dev/null)}"; do
        parts=("${(@ps:\t:)line}")
        type="$parts[1]" value="$parts[2]"
        case "$type" in
            dir) [[ "$PREFIX" == --*=* ]] && compset -P '*='; _path_files -/ ;;
            file) [[ "$PREFIX" == --*=* ]] && compset -P '*='; _path_files ;;
            plain)
                if [[ "$value" == *= ]]; then
                    open+=("$value")
                else
                    closed+=("$value")
                    closed_shown+=("$value${parts[3]:+  -- $parts[3]}")
                fi ;;
        esac
    done
    (( $#open )) && compadd -U -S '' -V txmon-open -a open
    (( $#closed )) && compadd -U -l -d closed_shown -V txmon -a closed
    return 0
}
if [[ "$zsh_eval_context[-1]" == loadautofunc ]]; then
    _txmon_completion "$@"
else
    compdef _txmon_completion txmon
fi
""",
    "fish": r"""function __txmon_complete
    set -l token (commandline -ct)
    for line in (env COMP_LINE=(commandline -cp | string collect) _TXMON_COMPLETE=fish_complete txmon 2>/dev/null)
        set -l parts (string split \t -- $line)
        switch $parts[1]
            case dir file
                set -l option (string match -r -- '^--[^=]*=' $token)
                set -l path (string replace -r -- '^--[^=]*=' '' $token)
                if test $parts[1] = dir
                    for found in (__fish_complete_directories $path ''); echo "$option$found"; end
                else
                    for found in (__fish_complete_path $path); echo "$option$found"; end
                end
            case plain
                if test -n "$parts[3]"
                    printf '%s\t%s\n' $parts[2] $parts[3]
                else
                    printf '%s\n' $parts[2]
                end
        end
    end
end
complete --no-files --keep-order --command txmon --arguments '(__txmon_complete)'
""",
}


class _Shell(ShellComplete):
    """Reads the command line before the cursor from COMP_LINE."""

    source_template = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor's word, and that word."""
        line = os.environ.get("COMP_LINE", "")
        words = split_arg_string(line)
        self._word = words.pop() if words and not line[-1:].isspace() else ""
        return words[1:], self._word

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return the proposals that a shell shows unchanged."""
        self.ctx_args = {
            **self.ctx_args,
            "obj": args,
        }  # click loses the files if an option still waits for its value
        return [item for item in super().get_completions(args, incomplete) if str(item.value).isprintable()]

    def format_completion(self, item: CompletionItem) -> str:
        """Return the line of one proposal."""
        text = " ".join((item.help or "").split()).split(" [default:")[0]
        return f"{item.type}\t{self._whole(str(item.value))}\t{text}"

    def _whole(self, value: str) -> str:
        """Return the cursor's word with `value` in it, because click returns only the part after `--option=`."""
        option, equals, _ = self._word.partition("=")
        return f"{option}={value}" if equals and option.startswith("--") else value


class _Bash(_Shell):
    name = "bash"

    def _whole(self, value: str) -> str:
        """Return the part after the last character at which bash ends words."""
        ends = max([self._word.rfind(mark) for mark in os.environ.get("COMP_BREAKS", "=:") if mark in "=:@"] or [-1])
        return super()._whole(value)[ends + 1 :]


class _Zsh(_Shell):
    name = "zsh"


class _Fish(_Shell):
    name = "fish"


def register() -> None:
    """Use these classes instead of click's own."""
    kinds: list[Any] = [_Bash, _Zsh, _Fish]
    for kind in kinds:
        add_completion_class(kind)
