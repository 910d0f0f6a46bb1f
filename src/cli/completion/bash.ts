import { type CommandSpec, pathKey, type ValueSpec } from './command-spec.ts';

/** Supports bash 3.2 (macOS) and newer. So it uses neither associative arrays nor `mapfile`. */
export function bashScript(specs: readonly CommandSpec[]): string {
  return `# Completion of secretbridge for bash. Made by \`secretbridge completion bash\`.

_secretbridge_words() {
  local word
  while IFS= read -r word; do
    [[ -n $word ]] && COMPREPLY+=("$word")
  done < <(compgen -W "$1" -- "$cur")
}

_secretbridge_files() {
  local file
  while IFS= read -r file; do
    COMPREPLY+=("$file")
  done < <(compgen -f -- "$cur")
  # It quotes what needs quotes, and puts a slash behind folders. Bash 3.2 has none.
  type compopt >/dev/null 2>&1 && compopt -o filenames 2>/dev/null
}

_secretbridge() {
  local cur=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} at= i
  COMPREPLY=()
  # Bash makes three words of --option=value.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $before == = ]]; then
    before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at/\${COMP_WORDS[i]}" in
      ${specs
        .map(pathKey)
        .filter((path) => path !== '')
        .join(' | ')})
        at+="/\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at $before" in
${indent(4, specs.flatMap(optionValueCases))}
  esac
  case "$at" in
${indent(4, specs.map(wordCase))}
  esac
}

complete -F _secretbridge secretbridge
`;
}

function optionValueCases({ path, options }: CommandSpec): readonly string[] {
  return options.flatMap(({ flags, value }) => {
    if (value === undefined) return [];
    const places = flags.map((flag) => `'${pathKey({ path })} ${flag}'`).join(' | ');
    return [`${places}) ${candidates(value)}return ;;`];
  });
}

function wordCase({ path, commands, options, words }: CommandSpec): string {
  const names = commands.map(({ name }) => name);
  const others = names.length > 0 ? `_secretbridge_words '${names.join(' ')}'` : words && candidates(words);
  const flags = options.flatMap((option) => option.flags).join(' ');
  const otherwise = others === undefined || others === '' ? '' : `; else ${others.replace(/; $/, '')}`;
  const body = `if [[ $cur == -* ]]; then _secretbridge_words '${flags}'${otherwise}; fi`;
  return `'${pathKey({ path })}') ${body} ;;`;
}

function candidates(value: ValueSpec): string {
  switch (value.kind) {
    case 'choices':
      return `_secretbridge_words '${value.choices.join(' ')}'; `;
    case 'files':
      return '_secretbridge_files; ';
    case 'free':
      return '';
  }
}

function indent(width: number, lines: readonly string[]): string {
  return lines.map((line) => ' '.repeat(width) + line).join('\n');
}
