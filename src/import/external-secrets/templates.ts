import type { Node, Notes } from '../node.ts';
import { type Shape, withTemplates } from '../template.ts';

/** Converts the templates of an ExternalSecret. */
export function withTemplate(sources: Shape, template: Node, notes: Notes): Shape {
  const texts = template.templates('data');
  const isMerge = template.text('mergePolicy') === 'Merge';
  noteTemplateFrom(template, notes);
  if ((template.text('engineVersion') ?? 'v2') !== 'v2') {
    notes.lost(
      `${template.path}.engineVersion`,
      'templates of engine version v1 have other functions',
      'Write the template by hand; see docs/reference/values.md for the template language.',
    );
    return sources;
  }
  return withTemplates(
    sources,
    {
      texts,
      isMerge,
      at: `${template.path}.data`,
      mergeAt: `${template.path}.mergePolicy`,
    },
    notes,
  );
}

/** Templates in other objects are not read. */
function noteTemplateFrom(template: Node, notes: Notes): void {
  for (const from of template.children('templateFrom')) {
    from.ignore('configMap', 'secret', 'target', 'literal', 'valuesDecodingStrategy');
    notes.lost(
      `${template.path}.templateFrom`,
      from.has('literal')
        ? 'a `literal` creates keys that are known only after rendering'
        : 'templates in other objects are not read',
      'Copy their text to `template.data` of the mapping.',
    );
  }
}
