import { memberOf } from './files/raw.ts';
import { fieldAt } from './format.ts';
import { type Finding, formatPath, type Path, quoted } from './problem.ts';

/**
 * Adds where an unknown key belongs, if the format has it one level up or down. The usual cause is a wrong indentation
 * that is valid YAML.
 */
export function withPlacement(finding: Finding, root: unknown): Finding {
  if (finding.isUnknownKey !== true || finding.suggestion !== undefined) return finding;
  const parent = finding.path.slice(0, -1);
  const key = String(finding.path.at(-1));
  const place = placeAbove(parent, key) ?? placeBelow(parent, key, root);
  return place === undefined
    ? finding
    : { ...finding, suggestion: `${quoted(key)} belongs ${place}; check the indentation` };
}

function placeAbove(parent: Path, key: string): string | undefined {
  for (let length = parent.length - 1; length >= 0; length--) {
    const above = parent.slice(0, length);
    if (fieldAt(above).names.includes(key))
      return above.length === 0 ? 'to the top level' : `to \`${formatPath(above)}\``;
  }
  return undefined;
}

/** Looks at the nearest section above the key, because a line that is indented too little stands below its section. */
function placeBelow(parent: Path, key: string, root: unknown): string | undefined {
  const object = parent.reduce<unknown>(memberOf, root);
  const names = typeof object === 'object' && object !== null ? Object.keys(object) : [];
  const field = fieldAt(parent);
  for (const name of names.slice(0, names.indexOf(key)).toReversed()) {
    const section = field.member(name);
    if (section.names.includes(key)) return `into \`${name}\``;
    if (section.isList && section.member(0).names.includes(key)) return `into an entry of \`${name}\``;
  }
  return undefined;
}
