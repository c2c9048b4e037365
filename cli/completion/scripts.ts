export type Shell = "bash" | "zsh" | "fish";

// What is typed is completed by the program itself, so a script stays right when commands change. `$1` and `words[1]` are the
// program as it was typed: also a path works.

const BASH = `# Put it in ~/.local/share/bash-completion/completions/colibri
_colibri() {
  local cur=\${COMP_WORDS[COMP_CWORD]} also line
  [[ $cur == "=" ]] && cur=""
  COMPREPLY=()
  {
    IFS= read -r also
    while IFS= read -r line; do COMPREPLY+=("$line"); done
  } < <("$1" __complete bash -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case $also in
    files) compopt -o filenames 2>/dev/null; while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur") ;;
    folders) compopt -o filenames 2>/dev/null; while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -d -- "$cur") ;;
  esac
}
complete -F _colibri colibri
`;

const ZSH = `#compdef colibri
# Put it in a folder of $fpath, as _colibri
_colibri() {
  local also line name
  local -a answer candidates
  answer=("\${(@f)$("$words[1]" __complete zsh -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  also=$answer[1]
  for line in "\${(@)answer[2,-1]}"; do
    name=\${\${line%%$'\\t'*}//:/\\\\:}
    [[ $line == *$'\\t'* ]] && candidates+=("$name:\${line#*$'\\t'}") || candidates+=("$name")
  done
  (( $#candidates )) && _describe colibri candidates
  case $also in
    files) _files ;;
    folders) _files -/ ;;
  esac
}
if [[ $funcstack[1] == _colibri ]]; then _colibri "$@"; else compdef _colibri colibri; fi
`;

const FISH = `# Put it in ~/.config/fish/completions/colibri.fish
function __colibri_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answer ($words[1] __complete fish -- $words[2..-1] 2>/dev/null)
    test (count $answer) -gt 1; and printf '%s\\n' $answer[2..-1]
    switch "$answer[1]"
        case files
            __fish_complete_path (commandline -ct)
        case folders
            __fish_complete_directories (commandline -ct)
    end
end
complete -c colibri -f -a '(__colibri_complete)'
`;

export const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
