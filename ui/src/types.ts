import type { components } from './api-types.ts';

// Short names for the types of the API.

type Schemas = components['schemas'];

export type AuditRecord = Schemas['Record'];
export type RecordDetail = Schemas['RecordDetail'];
export type RecordList = Schemas['RecordList'];
export type TracedVersion = Schemas['TracedVersion'];
export type Actor = Schemas['Actor'];
export type FieldChange = Schemas['FieldChange'];
export type Target = Schemas['Target'];
export type Mapping = Schemas['Mapping'];
export type Search = Schemas['Search'];
export type Held = Schemas['Held'];
export type Approval = Schemas['Approval'];
export type Status = Schemas['Status'];
export type Store = Schemas['Store'];
export type Intake = Schemas['Intake'];
export type Channel = Schemas['Channel'];
export type SyncAnswer = Schemas['SyncAnswer'];
export type Verification = Schemas['Verification'];
export type Damage = Schemas['Damage'];
export type Session = Schemas['Session'];

export type Change = Schemas['Change'];
export type ChangeDetail = Schemas['ChangeDetail'];
export type ChangeList = Schemas['ChangeList'];
export type ReviewQueue = Schemas['ReviewQueue'];
export type ReviewCause = Schemas['ReviewCause'];
export type Timeline = Schemas['Timeline'];
export type Present = Schemas['Present'];
export type Content = Schemas['Content'];
export type ContentKey = Schemas['ContentKey'];
export type SourceVersion = Schemas['SourceVersion'];
export type Reach = Schemas['Reach'];
export type ReachedTarget = Schemas['ReachedTarget'];
export type SearchResult = Schemas['SearchResult'];
export type Series = Schemas['Series'];
export type Picture = Schemas['Picture'];
export type SourceAge = Schemas['SourceAge'];
export type SourceList = Schemas['SourceList'];
export type Graph = Schemas['Graph'];
export type GraphNode = Schemas['GraphNode'];
