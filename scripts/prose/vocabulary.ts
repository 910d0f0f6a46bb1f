/** A word or construction that the project forbids, and its replacement. */
export interface Forbidden {
  readonly pattern: RegExp;
  readonly instead: string;
}

/** Words that only insiders understand. `docs/glossary.md` explains the project's own words that are allowed. */
export const PRIVATE_WORDS: readonly Forbidden[] = [
  { pattern: /\b(?:board|boards)\b/i, instead: 'target state store' },
  { pattern: /\bledgers?\b/i, instead: 'queue' },
  { pattern: /\bwish(?:es|ed)?\b/i, instead: 'pending trigger, or request' },
  { pattern: /\blanes?\b/i, instead: 'bulkhead' },
  { pattern: /\bnotice boards?\b/i, instead: 'broadcast, or messages' },
  { pattern: /\b(?:shelf|shelves|lodgings?)\b/i, instead: 'bounded cache' },
  { pattern: /\bsuccession\b/i, instead: 'carry-over' },
  { pattern: /\bnewcomers?\b/i, instead: 'new targets' },
  { pattern: /\bstrangers?\b/i, instead: 'unknown jobs, or unknown clients' },
  { pattern: /\bput[- ]off\b/i, instead: 'delayed, or awaiting replacement' },
  { pattern: /\bleft[- ]open\b/i, instead: 'unresolved intents' },
  { pattern: /\bunended\b/i, instead: 'stale failures' },
  { pattern: /\bmade[- ]late\b/i, instead: 'late writes' },
  { pattern: /\bsightings?\b/i, instead: 'write verification' },
  { pattern: /\bkeepers?\b/i, instead: 'retained records' },
  { pattern: /\bsurveys?\b/i, instead: 'preflight' },
  { pattern: /\btimetables?\b/i, instead: 'schedule' },
  { pattern: /\bheals? (?:itself|by itself)\b/i, instead: 'is transient' },
];

/** Constructions that are hard to read. `^` matches the beginning of a sentence. */
export const RIDDLES: readonly Forbidden[] = [
  { pattern: /^Of (?!course)/, instead: 'put the subject first' },
  { pattern: /^Whoever /, instead: 'name the actor' },
  { pattern: /^Whatever /, instead: 'name the thing' },
  {
    pattern: /^What (?:[\w_]+ ){1,8}(?:is|are|was|were) \w+[^?]*$/,
    instead: 'name the thing, then say what it does',
  },
  { pattern: /^(?:So many|So much|As many|As much) /, instead: 'say the number' },
  { pattern: /\bnobody\b/i, instead: 'no one, or name the actor' },
  { pattern: /\bwhoever\b/i, instead: 'name the actor' },
  { pattern: /\bwhatever comes\b/i, instead: 'any' },
  { pattern: /\banew\b/i, instead: 'again' },
  { pattern: /\bnone of that\b/i, instead: 'say what is missing' },
  { pattern: /\bso many at\b/i, instead: 'at most N at a time' },
  { pattern: /\b(?:of|by) which\b/i, instead: 'two sentences' },
  { pattern: /\bwhere that\b/i, instead: 'if' },
  { pattern: /\bof before\b/i, instead: 'previous' },
  { pattern: /\bas it (?:is|goes|stands|comes)\b/i, instead: 'unchanged' },
  { pattern: /\bmend(?:s|ed|ing)?\b/i, instead: 'fix' },
  { pattern: /\bto be had\b/i, instead: 'available' },
  { pattern: /\bnothing at once\b/i, instead: 'No action needed' },
  { pattern: /\bmakes? (?:it|them) anew\b/i, instead: 'recreates' },
  { pattern: /\bis (?:told|said) (?:of|about|so|once|that)\b/i, instead: 'is reported, or active voice' },
  { pattern: /\bgoes by\b/i, instead: 'uses' },
  { pattern: /\bby hand of\b/i, instead: 'by' },
  {
    pattern: /\b(?:hither|thither|whence|hence|thereof|therein|whereof|lest|ere)\b/i,
    instead: 'plain words',
  },
];

/** The maximum length of a sentence. A code span counts as one word. */
export const WORDS_PER_SENTENCE = 30;

/** Words that are forbidden in file names. Only a whole word between hyphens or dots counts. */
export const FORBIDDEN_FILE_WORDS: ReadonlySet<string> = new Set([
  ...['ahead', 'anew', 'board', 'doubt', 'found', 'generation', 'heard', 'keepers', 'known', 'lanes'],
  ...[
    'ledger',
    'left',
    'lodging',
    'looked',
    'marks',
    'missed',
    'newcomers',
    'notices',
    'off',
    'passes',
    'place',
  ],
  ...[
    'places',
    'readings',
    'recall',
    'room',
    'said',
    'shelf',
    'sighting',
    'slots',
    'standing',
    'stood',
    'strangers',
  ],
  ...[
    'succession',
    'survey',
    'timetable',
    'together',
    'told',
    'turn',
    'turns',
    'unended',
    'ways',
    'wish',
    'wishes',
  ],
]);
