// Generated from the OpenAPI document by `npm run docs`. Change the routes of src/http instead.
export interface paths {
    "/livez": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether every loop makes progress. Outages of dependencies do not affect the answer. The instance lets commands find their own service. */
        get: operations["livez"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the configuration is loaded and the audit is writable. */
        get: operations["readyz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Metrics in the Prometheus text format. Requires a token only with `http.metricsNeedToken`. */
        get: operations["metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What `secretbridge status` prints: engine, audit, cluster, stores, targets and held changes.
         * @description Requires the role viewer.
         */
        get: operations["status"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * This API description, as OpenAPI 3.1.
         * @description Requires the role viewer.
         */
        get: operations["openapi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/mappings": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the mappings by name, each with its sources and targets.
         * @description Requires the role viewer.
         */
        get: operations["listMappings"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/mappings/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get one mapping.
         * @description Requires the role viewer.
         */
        get: operations["getMapping"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/mappings/{name}/sync": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sync the targets of a mapping now. Targets that do not finish in time are counted as `pending` and continue.
         * @description Requires the role operator.
         */
        post: operations["syncMapping"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/mappings/{name}/rollback": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Roll back the targets of a mapping to the source versions of a record, and pin them there until `unpin`. If a version is no longer available, its target does not change.
         * @description Requires the role operator.
         */
        post: operations["rollBackMapping"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/mappings/{name}/unpin": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Unpin the targets of a mapping, so that they follow their sources again.
         * @description Requires the role operator.
         */
        post: operations["unpinMapping"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/held": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the changes that await a decision, by namespace and name.
         * @description Requires the role viewer.
         */
        get: operations["listHeld"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/held/{id}/release": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Release a held change. The audit records who released it.
         * @description Requires the role operator.
         */
        post: operations["release"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/held/release": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Release several held changes, one after the other. The answer has a result for each.
         * @description Requires the role operator.
         */
        post: operations["releaseMany"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/prune": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the targets that no mapping wants any more, as `secretbridge prune` does.
         * @description Requires the role viewer.
         */
        get: operations["listLeft"];
        put?: never;
        /**
         * Delete the targets that no mapping wants. `brake` limits the deletions. The audit records who sent the request.
         * @description Requires the role operator.
         */
        post: operations["prune"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/approvals": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the requests for approval, by namespace and name.
         * @description Requires the role viewer.
         */
        get: operations["listApprovals"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/approvals/{id}/approve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Approve a request and carry out its action. `approvals` in the configuration says who may approve. The person who asked may not.
         * @description Requires the role viewer.
         */
        post: operations["approve"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/approvals/{id}/reject": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Reject a request. The person who asked may withdraw it in this way.
         * @description Requires the role viewer.
         */
        post: operations["reject"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit/records": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List audit records, newest first. Filters combine with AND.
         * @description Requires the role viewer.
         */
        get: operations["listRecords"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit/records/{sequence}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One record with its intent or outcome, its review and its place in the chain.
         * @description Requires the role viewer.
         */
        get: operations["getRecord"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit/verify": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Verify the whole hash chain. Reads every record. Requires access to all namespaces.
         * @description Requires the role viewer.
         */
        get: operations["verify"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/review": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What a person should look at, grouped by cause: changes that failed, were refused or held, deletions, adoptions and rollbacks without a review, requests for approval, and flagged records.
         * @description Requires the role viewer.
         */
        get: operations["listReview"];
        put?: never;
        /**
         * Review records, all or none. Each review is recorded in the audit.
         * @description Requires the role reviewer.
         */
        post: operations["reviewMany"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit/records/{sequence}/review": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Review a record. The review is recorded in the audit.
         * @description Requires the role reviewer.
         */
        post: operations["review"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Stream records, oldest first: `jsonl` as the chain holds them, `csv` as a table, `ocsf` as events. The export itself is recorded in the audit.
         * @description Requires the role viewer.
         */
        get: operations["exportRecords"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/timeline": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The changes of one subject, newest first, with its present state: a Secret (`namespace` and `secret`), a `mapping`, a source (`store`, `key`, `version`) or a person (`actor`).
         * @description Requires the role viewer.
         */
        get: operations["timeline"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reach": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The Secrets that hold a version of a source now, that held it, and that hold another version. Without `version`: the version that was read last.
         * @description Requires the role viewer.
         */
        get: operations["reach"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Find mappings, Secrets, stores, keys, people and notes that contain a text.
         * @description Requires the role viewer.
         */
        get: operations["search"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/series": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * How many changes, failures, refusals and holds there were over time, in at most 400 steps of whole hours. Default: the last 30 days.
         * @description Requires the role viewer.
         */
        get: operations["series"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/picture": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The present state in numbers: the age of the secrets of each store, stale targets, and the calls of each store against the expectation.
         * @description Requires the role viewer.
         */
        get: operations["picture"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sources": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The sources that mappings use, by the age of their present version, oldest first.
         * @description Requires the role viewer.
         */
        get: operations["listSources"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/graph": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Stores, mappings, Secrets and workloads with their states, and the edges between them. Without a filter, those in the worst state come first.
         * @description Requires the role viewer.
         */
        get: operations["graph"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Server-sent events: `change` with `{ "head": sequence }` when there are new records, and `state` when a target or a held change has another state. Ends with the session. After a reconnection, ask for everything again.
         * @description Requires the role viewer.
         */
        get: operations["stream"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/changes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List changes, newest first. One change has an intent, an outcome, the reads of its sources and its restarts. Equal facts that follow each other are one change with a count.
         * @description Requires the role viewer.
         */
        get: operations["listChanges"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/changes/{sequence}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The change to which a record belongs, with this record.
         * @description Requires the role viewer.
         */
        get: operations["getChange"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/events/webhook/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Report that a key may have changed in a store. The request is signed. */
        post: operations["postWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/events/azure/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Receive Azure Key Vault events, in the Event Grid schema or as CloudEvents 1.0. */
        post: operations["postEventGrid"];
        delete?: never;
        /** Answer the CloudEvents validation handshake. */
        options: operations["validateEventGrid"];
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/auth/methods": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The ways to sign in to the review page. */
        get: operations["signInMethods"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/auth/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Sends the browser to the OIDC provider. */
        get: operations["login"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/auth/callback": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Ends a sign-in: sets the session cookie, and sends the browser to the review page. */
        get: operations["callback"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/auth/device": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Starts a sign-in of the command line, which the person confirms in any browser. */
        post: operations["deviceLogin"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/auth/token": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Returns the token of a confirmed sign-in (`deviceCode`), or a new token (`renewal`). */
        post: operations["deviceToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/auth/logout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ends the session of the cookie, or of the token of `secretbridge login`, in all replicas. */
        post: operations["logout"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The owner of the token, and the highest role of the owner. `namespaces` has globs, and is absent for people with access to all namespaces.
         * @description Requires the role viewer.
         */
        get: operations["session"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface components {
    schemas: {
        Error: {
            code: string;
            message: string;
            remedy: string;
            /** @description With `APPROVAL_NEEDED`: the ids of the requests for approval. */
            requests?: string[];
            requestId: string;
        };
        Liveness: {
            ok: boolean;
            stalled: string[];
            instance?: string;
        };
        Readiness: {
            ok: boolean;
        };
        Key: {
            name: string;
            /** @enum {string} */
            action: "add" | "change" | "remove" | "keep";
            /** @description A keyed fingerprint. */
            before?: string;
            after?: string;
        };
        Held: {
            id: string;
            mapping: string;
            namespace: string;
            secret: string;
            action: string;
            keys: components["schemas"]["Key"][];
            reason?: string;
            /** Format: date-time */
            since?: string;
        };
        HeldList: {
            held: components["schemas"]["Held"][];
            next?: string;
        };
        Approval: {
            id: string;
            /** @description The sequence of the request's record. */
            sequence: number;
            /** @enum {string} */
            action: "release" | "rollback" | "unpin" | "adopt" | "prune";
            /** @description The action as a command. */
            command: string;
            mapping: string;
            namespace: string;
            secret: string;
            keys: {
                added: string[];
                changed: string[];
                removed: string[];
            };
            /** @enum {string} */
            state: "pending" | "approved" | "rejected" | "done" | "expired";
            requestedBy: string;
            /** Format: date-time */
            requestedAt: string;
            /**
             * Format: date-time
             * @description The request is open until this time.
             */
            until: string;
            requestId: string;
            decidedBy?: string;
            /** Format: date-time */
            decidedAt?: string;
        };
        ApprovalList: {
            approvals: components["schemas"]["Approval"][];
            next?: string;
        };
        ApproveAnswer: {
            ok: boolean;
            requestId: string;
            summary: {
                [key: string]: number;
            };
            targets: {
                mapping: string;
                namespace: string;
                secret: string;
                /** @enum {string} */
                outcome: "created" | "updated" | "deleted" | "unchanged" | "waiting" | "refused" | "held" | "failed";
                code?: string;
                message?: string;
                remedy?: string;
                keys: components["schemas"]["Key"][];
                /** @description The sequence of the record whose source versions the target is pinned to. */
                pinned?: number;
            }[];
            held: components["schemas"]["Held"][];
            warnings: {
                code: string;
                mapping?: string;
                namespace?: string;
                secret?: string;
                message: string;
            }[];
            pending: number;
            approval: components["schemas"]["Approval"];
        };
        Target: {
            mapping: string;
            namespace: string;
            secret: string;
            /** @enum {string} */
            state: "synced" | "stale" | "failed" | "refused" | "held" | "pinned" | "waiting" | "contested" | "drifted";
            /** Format: date-time */
            lastSuccess: string | null;
            staleSeconds: number | null;
            code?: string;
            message?: string;
            remedy?: string;
            /** @description The sequence of the record whose source versions the target is pinned to. */
            pinned?: number;
            /**
             * Format: date-time
             * @description When the first source or certificate of the target expires.
             */
            expiresAt?: string;
        };
        Store: {
            name: string;
            kind: string;
            /** @enum {string} */
            state: "up" | "degraded" | "down";
            /** Format: date-time */
            lastSuccess: string | null;
            code?: string;
            breakerOpen: boolean;
            /** @description How the store is checked for changes: list, describe, batch or read. */
            way?: string;
            /** @description Requests of this replica within the last hour. */
            callsPerHour?: number;
            /** @description Requests an hour of all replicas while nothing changes. */
            expectedCallsPerHour?: number;
        };
        Intake: {
            /** @enum {string} */
            kind: "sqs" | "eventGrid" | "vault" | "webhook";
            name: string;
            /** @enum {string} */
            state: "up" | "degraded" | "down";
            /** Format: date-time */
            lastEvent?: string;
            code?: string;
        };
        Status: {
            instance: string;
            version: string;
            replica: string;
            engine: {
                kind: string;
                /** @enum {string} */
                state: "up" | "degraded" | "down";
                code?: string;
            };
            audit: {
                kind: string;
                /** @enum {string} */
                state: "up" | "degraded" | "down";
                sequence: number;
                code?: string;
                unverifiable?: number;
            };
            warnings: {
                code: string;
                mapping?: string;
                namespace?: string;
                secret?: string;
                message: string;
            }[];
            cluster: {
                kind: string;
                /** @enum {string} */
                state: "up" | "degraded" | "down";
                code?: string;
            };
            config: {
                valid: boolean;
                problems: {
                    file: string;
                    line: number;
                    column: number;
                    path: string;
                    code: string;
                    message: string;
                    suggestion?: string;
                }[];
                /** @description Replicas with another configuration. Deletions of removed targets wait until they agree. */
                differing: string[];
            };
            includes: {
                path: string;
                namespaces: string[];
                /** @enum {string} */
                state: "valid" | "disabled" | "outdated";
                problems: {
                    file: string;
                    line: number;
                    column: number;
                    path: string;
                    code: string;
                    message: string;
                    suggestion?: string;
                }[];
            }[];
            stores: components["schemas"]["Store"][];
            events: components["schemas"]["Intake"][];
            /** @description The channels of notifications. Absent if there are none. */
            notify?: {
                name: string;
                kind: string;
                /** @enum {string} */
                state: "up" | "degraded" | "down";
                /** Format: date-time */
                lastSuccess?: string;
                code?: string;
            }[];
            targets: components["schemas"]["Target"][];
            held: components["schemas"]["Held"][];
        };
        Session: {
            name: string;
            /** @enum {string} */
            role: "viewer" | "reviewer" | "operator";
            namespaces?: string[];
            /**
             * Format: date-time
             * @description When a session ends that is not used any more. Absent for tokens.
             */
            endsAt?: string;
        };
        SignInMethods: {
            /** @description Whether `/auth/login` signs people in. */
            oidc: boolean;
            /** @description Whether the browser has sent the cookie of a session. */
            session: boolean;
        };
        DeviceSignIn: {
            /** @description For `/auth/token`. Do not show it to anybody. */
            deviceCode: string;
            /** @description What the person enters at the provider. */
            userCode: string;
            /** @description Where the person enters the code. */
            verificationUri: string;
            /** @description The same address with the code. */
            verificationUriComplete?: string;
            expiresInSeconds: number;
            /** @description How long to wait between two requests for the token. */
            intervalSeconds: number;
        };
        DevicePending: {
            pending: boolean;
            /** @description Whether to wait 5 seconds longer from now on. */
            slowDown: boolean;
        };
        DeviceToken: {
            name: string;
            /** @description The bearer token of the person. */
            token: string;
            /** @description For `/auth/token`, to get a new token before this one ends. */
            renewal: string;
            /**
             * Format: date-time
             * @description The first use after this time should get a new token. Otherwise, the session ends while it is used.
             */
            renewAfter: string;
            /**
             * Format: date-time
             * @description When the session ends if it is not renewed.
             */
            endsAt: string;
        };
        Change: {
            /** @description The record that stands for the change: its outcome, or its intent if it has no outcome. */
            sequence: number;
            /** @description The sequences of all records of the change. */
            records: number[];
            /** Format: date-time */
            time: string;
            durationMs: number;
            /** @enum {string} */
            action: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
            /** @enum {string} */
            outcome: "ok" | "failed" | "refused" | "held" | "pending";
            code?: string;
            note?: string;
            actor: {
                /** @enum {string} */
                kind: "schedule" | "event" | "drift" | "startup" | "operator" | "cli";
                name?: string;
            };
            requestId: string;
            /** @description Why the change was made. */
            cause: {
                /** @enum {string} */
                kind: "schedule" | "event" | "drift" | "person" | "configuration" | "recovery" | "unknown";
                /** @description The record of the configuration change that caused this. */
                sequence?: number;
                revision?: string;
                changes?: {
                    path: string;
                    before?: string;
                    after?: string;
                }[];
            };
            /** @description The people who took part, besides the actor. */
            people?: {
                /** @enum {string} */
                role: "requested" | "approved" | "rejected" | "released";
                name: string;
                /** Format: date-time */
                time: string;
                sequence: number;
            }[];
            mapping?: string;
            namespace?: string;
            secret?: string;
            store?: string;
            key?: string;
            keys: {
                name: string;
                /** @enum {string} */
                change: "added" | "changed" | "removed" | "kept";
                /** @description A keyed fingerprint. */
                before?: string;
                /** @description A keyed fingerprint. */
                after?: string;
            }[];
            sources: {
                store: string;
                key: string;
                property?: string;
                version: string;
                /** @description The version that the previous write used, if it differs. */
                previousVersion?: string;
            }[];
            restarts: {
                kind: string;
                name: string;
                /** @enum {string} */
                outcome: "ok" | "failed" | "refused" | "held" | "pending";
                code?: string;
            }[];
            counts?: {
                [key: string]: number;
            };
            /** @description For a change of the configuration. */
            configuration?: {
                hash?: string;
                revision?: string;
                changes: {
                    path: string;
                    before?: string;
                    after?: string;
                }[];
            };
            /** @description How many equal facts the row stands for. */
            count: number;
            /**
             * Format: date-time
             * @description When the first of them happened.
             */
            since?: string;
            review?: {
                /** @enum {string} */
                state: "unreviewed" | "reviewed" | "flagged";
                by?: string;
                /** Format: date-time */
                time: string;
                note?: string;
                followUp?: string;
            };
        };
        ChangeDetail: {
            /** @description The record that stands for the change: its outcome, or its intent if it has no outcome. */
            sequence: number;
            /** @description The sequences of all records of the change. */
            records: number[];
            /** Format: date-time */
            time: string;
            durationMs: number;
            /** @enum {string} */
            action: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
            /** @enum {string} */
            outcome: "ok" | "failed" | "refused" | "held" | "pending";
            code?: string;
            note?: string;
            actor: {
                /** @enum {string} */
                kind: "schedule" | "event" | "drift" | "startup" | "operator" | "cli";
                name?: string;
            };
            requestId: string;
            /** @description Why the change was made. */
            cause: {
                /** @enum {string} */
                kind: "schedule" | "event" | "drift" | "person" | "configuration" | "recovery" | "unknown";
                /** @description The record of the configuration change that caused this. */
                sequence?: number;
                revision?: string;
                changes?: {
                    path: string;
                    before?: string;
                    after?: string;
                }[];
            };
            /** @description The people who took part, besides the actor. */
            people?: {
                /** @enum {string} */
                role: "requested" | "approved" | "rejected" | "released";
                name: string;
                /** Format: date-time */
                time: string;
                sequence: number;
            }[];
            mapping?: string;
            namespace?: string;
            secret?: string;
            store?: string;
            key?: string;
            keys: {
                name: string;
                /** @enum {string} */
                change: "added" | "changed" | "removed" | "kept";
                /** @description A keyed fingerprint. */
                before?: string;
                /** @description A keyed fingerprint. */
                after?: string;
            }[];
            sources: {
                store: string;
                key: string;
                property?: string;
                version: string;
                /** @description The version that the previous write used, if it differs. */
                previousVersion?: string;
            }[];
            restarts: {
                kind: string;
                name: string;
                /** @enum {string} */
                outcome: "ok" | "failed" | "refused" | "held" | "pending";
                code?: string;
            }[];
            counts?: {
                [key: string]: number;
            };
            /** @description For a change of the configuration. */
            configuration?: {
                hash?: string;
                revision?: string;
                changes: {
                    path: string;
                    before?: string;
                    after?: string;
                }[];
            };
            /** @description How many equal facts the row stands for. */
            count: number;
            /**
             * Format: date-time
             * @description When the first of them happened.
             */
            since?: string;
            review?: {
                /** @enum {string} */
                state: "unreviewed" | "reviewed" | "flagged";
                by?: string;
                /** Format: date-time */
                time: string;
                note?: string;
                followUp?: string;
            };
            record: components["schemas"]["RecordDetail"];
        };
        ChangeList: {
            changes: components["schemas"]["Change"][];
            next?: string;
        };
        ReviewQueue: {
            causes: {
                id: string;
                /** @enum {string} */
                kind: "held" | "approval" | "store" | "cluster" | "configuration" | "source" | "refusal" | "restart" | "deletion" | "adoption" | "rollback" | "sign-in" | "command" | "flagged";
                title: string;
                code?: string;
                store?: string;
                key?: string;
                mapping?: string;
                requestId?: string;
                /** @description How many changes have this cause. */
                count: number;
                /** Format: date-time */
                first: string;
                /** Format: date-time */
                last: string;
                /** @description The records to review, newest first, at most 200. */
                sequences: number[];
                namespaces: number;
                targets: number;
                /** @description The ids with which the changes can be released now. */
                held?: string[];
                /** @description For flagged records: the day of the follow-up. */
                followUp?: string;
                /** @description For flagged records: whether this day has come. */
                isDue?: boolean;
                example: components["schemas"]["Change"];
            }[];
            next?: string;
            /** @description Whether older records were not read. */
            more: boolean;
        };
        Released: {
            results: {
                id: string;
                ok: boolean;
                code?: string;
                message?: string;
                remedy?: string;
            }[];
        };
        Reviewed: {
            /** @description The number of reviewed records. */
            reviewed: number;
        };
        Timeline: {
            changes: components["schemas"]["Change"][];
            next?: string;
            /** @description The present state. Only the first page contains it. */
            now?: {
                targets?: components["schemas"]["Target"][];
                held?: components["schemas"]["Held"][];
                /** @description What the last writes say about the content of the Secret. */
                content?: {
                    sequence: number;
                    /** Format: date-time */
                    time: string;
                    action: string;
                    keys: {
                        name: string;
                        fingerprint?: string;
                        /** Format: date-time */
                        since: string;
                        sequence: number;
                    }[];
                    sources: {
                        store: string;
                        key: string;
                        property?: string;
                        version: string;
                    }[];
                };
                mapping?: components["schemas"]["Mapping"];
                store?: components["schemas"]["Store"];
                /** @description The version that was read last. */
                source?: {
                    store: string;
                    key: string;
                    version: string;
                    /** Format: date-time */
                    since: string;
                };
            };
        };
        Reach: {
            /** @description The version, if the request named none. */
            version?: string;
            /** @description The Secrets that hold the version now. */
            now: {
                mapping?: string;
                namespace: string;
                secret: string;
                /** @description The versions that the Secret holds now. */
                versions: string[];
                sequence: number;
                /** Format: date-time */
                time: string;
            }[];
            /** @description The Secrets that held it. */
            held: {
                mapping?: string;
                namespace: string;
                secret: string;
                /** @description The versions that the Secret holds now. */
                versions: string[];
                sequence: number;
                /** Format: date-time */
                time: string;
            }[];
            /** @description The Secrets that hold another version. */
            others: {
                mapping?: string;
                namespace: string;
                secret: string;
                /** @description The versions that the Secret holds now. */
                versions: string[];
                sequence: number;
                /** Format: date-time */
                time: string;
            }[];
            /** @description Whether there are more Secrets. */
            more: boolean;
        };
        SearchResults: {
            results: {
                /** @enum {string} */
                kind: "mapping" | "secret" | "store" | "key" | "actor" | "note";
                name: string;
                namespace?: string;
                secret?: string;
                store?: string;
                /** @description For a note: the record that it is about. */
                sequence?: number;
            }[];
        };
        Series: {
            /** @description When each step begins, in seconds since 1970. */
            times: number[];
            changes: number[];
            failures: number[];
            refusals: number[];
            held: number[];
            /** @description The length of a step, in seconds. */
            step: number;
        };
        Picture: {
            /** @description For each store, how long its secrets have had their present version. */
            ages: {
                store: string;
                buckets: {
                    /** @enum {string} */
                    upTo: "1d" | "7d" | "30d" | "90d" | "365d" | "older";
                    secrets: number;
                }[];
            }[];
            stale: {
                count: number;
                oldest?: number;
            };
            /** @description The targets by state. */
            states: {
                [key: string]: number;
            };
            calls: {
                store: string;
                made: number;
                expected: number;
            }[];
        };
        SourceList: {
            sources: {
                store: string;
                key: string;
                version: string;
                /** Format: date-time */
                since: string;
                days: number;
            }[];
            next?: string;
        };
        Graph: {
            nodes: {
                id: string;
                /** @enum {string} */
                kind: "store" | "mapping" | "secret" | "workload";
                name: string;
                namespace?: string;
                state: string;
            }[];
            edges: {
                from: string;
                to: string;
            }[];
            /** @description How many mappings and Secrets are left out. */
            more: number;
        };
        Mapping: {
            mapping: string;
            /** @description Absent if the file of the mapping is disabled. */
            refreshSeconds?: number;
            sources: {
                store: string;
                key: string;
            }[];
            /** @description The searches of the mapping. An empty path searches the whole store. */
            searches: {
                store: string;
                path: string;
                name?: string;
            }[];
            /** @description The workloads that the mapping restarts. */
            workloads?: string[];
            targets: components["schemas"]["Target"][];
        };
        MappingList: {
            mappings: components["schemas"]["Mapping"][];
            next?: string;
        };
        SyncAnswer: {
            ok: boolean;
            requestId: string;
            summary: {
                [key: string]: number;
            };
            targets: {
                mapping: string;
                namespace: string;
                secret: string;
                /** @enum {string} */
                outcome: "created" | "updated" | "deleted" | "unchanged" | "waiting" | "refused" | "held" | "failed";
                code?: string;
                message?: string;
                remedy?: string;
                keys: components["schemas"]["Key"][];
                /** @description The sequence of the record whose source versions the target is pinned to. */
                pinned?: number;
            }[];
            held: components["schemas"]["Held"][];
            warnings: {
                code: string;
                mapping?: string;
                namespace?: string;
                secret?: string;
                message: string;
            }[];
            pending: number;
        };
        PruneAnswer: {
            ok: boolean;
            requestId: string;
            summary: {
                [key: string]: number;
            };
            targets: {
                mapping: string;
                namespace: string;
                secret: string;
                /** @enum {string} */
                outcome: "created" | "updated" | "deleted" | "unchanged" | "waiting" | "refused" | "held" | "failed";
                code?: string;
                message?: string;
                remedy?: string;
                keys: components["schemas"]["Key"][];
                /** @description The sequence of the record whose source versions the target is pinned to. */
                pinned?: number;
            }[];
            held: components["schemas"]["Held"][];
            warnings: {
                code: string;
                mapping?: string;
                namespace?: string;
                secret?: string;
                message: string;
            }[];
            pending: number;
            /** @description Targets that are kept until their mapping has created the replacement. */
            waiting?: {
                mapping: string;
                namespace: string;
                secret: string;
                until: {
                    namespace: string;
                    secret: string;
                };
            }[];
            /** @description Targets or namespaces that could not be read, and may hold orphans. */
            unseen?: {
                what: string;
                code: string;
            }[];
        };
        LeftAnswer: {
            changes: number;
            targets: {
                mapping: string;
                namespace: string;
                secret: string;
                /** @enum {string} */
                action: "delete";
                keys: components["schemas"]["Key"][];
            }[];
            /** @description Always empty in a listing: only deletions can be held. */
            held: components["schemas"]["Held"][];
            /** @description Targets that are kept until their mapping has created the replacement. */
            waiting?: {
                mapping: string;
                namespace: string;
                secret: string;
                until: {
                    namespace: string;
                    secret: string;
                };
            }[];
            /** @description Targets or namespaces that could not be read, and may hold orphans. */
            unseen?: {
                what: string;
                code: string;
            }[];
        };
        Record: {
            sequence: number;
            /** Format: date-time */
            time: string;
            /** @enum {string} */
            action: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
            /** @enum {string} */
            phase?: "intent" | "outcome";
            /** @enum {string} */
            outcome: "ok" | "failed" | "refused" | "held";
            code?: string;
            mapping?: string;
            namespace?: string;
            secret?: string;
            store?: string;
            key?: string;
            actor: {
                /** @enum {string} */
                kind: "schedule" | "event" | "drift" | "startup" | "operator" | "cli";
                name?: string;
                subject?: string;
                aliases?: string[];
                address?: string;
            };
            note?: string;
            review?: {
                sequence: number;
                /** @enum {string} */
                state: "unreviewed" | "reviewed" | "flagged";
                followUp?: string;
            };
            /** @description The latest review. Undefined: unreviewed. Not part of the hash. */
            reviewed?: {
                /** @enum {string} */
                state: "unreviewed" | "reviewed" | "flagged";
                by?: string;
                /** Format: date-time */
                time: string;
                note?: string;
                /** @description The day on which somebody looks at the record again. */
                followUp?: string;
                /** @description The sequence of the review record. */
                sequence: number;
            };
            keys: {
                added: string[];
                changed: string[];
                removed: string[];
            };
            sources: {
                store: string;
                key: string;
                property?: string;
                version: string;
            }[];
            /** @description For a change: the keyed fingerprint of each new value, by target key. */
            values?: {
                [key: string]: string;
            };
            counts?: {
                [key: string]: number;
            };
            /** @description For a `request`: what waits for approval. */
            requested?: {
                /** @enum {string} */
                action: "release" | "rollback" | "unpin" | "adopt" | "prune";
                argument: string;
                /** Format: date-time */
                until: string;
            };
            /** @description The sequence of the `request` that the record decides about, or that allowed the action. */
            approval?: number;
            count?: number;
            /** Format: date-time */
            since?: string;
            changes?: {
                path: string;
                before?: string;
                after?: string;
            }[];
            configHash?: string;
            revision?: string;
            before?: string;
            after?: string;
            resourceVersion?: string;
            requestId: string;
            attempt: number;
            durationMs: number;
            instance: string;
            replica: string;
            previousHash: string;
            hmac?: string;
            hash: string;
        };
        RecordDetail: {
            sequence: number;
            /** Format: date-time */
            time: string;
            /** @enum {string} */
            action: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
            /** @enum {string} */
            phase?: "intent" | "outcome";
            /** @enum {string} */
            outcome: "ok" | "failed" | "refused" | "held";
            code?: string;
            mapping?: string;
            namespace?: string;
            secret?: string;
            store?: string;
            key?: string;
            actor: {
                /** @enum {string} */
                kind: "schedule" | "event" | "drift" | "startup" | "operator" | "cli";
                name?: string;
                subject?: string;
                aliases?: string[];
                address?: string;
            };
            note?: string;
            review?: {
                sequence: number;
                /** @enum {string} */
                state: "unreviewed" | "reviewed" | "flagged";
                followUp?: string;
            };
            /** @description The latest review. Undefined: unreviewed. Not part of the hash. */
            reviewed?: {
                /** @enum {string} */
                state: "unreviewed" | "reviewed" | "flagged";
                by?: string;
                /** Format: date-time */
                time: string;
                note?: string;
                /** @description The day on which somebody looks at the record again. */
                followUp?: string;
                /** @description The sequence of the review record. */
                sequence: number;
            };
            keys: {
                added: string[];
                changed: string[];
                removed: string[];
            };
            sources: {
                store: string;
                key: string;
                property?: string;
                version: string;
            }[];
            /** @description For a change: the keyed fingerprint of each new value, by target key. */
            values?: {
                [key: string]: string;
            };
            counts?: {
                [key: string]: number;
            };
            /** @description For a `request`: what waits for approval. */
            requested?: {
                /** @enum {string} */
                action: "release" | "rollback" | "unpin" | "adopt" | "prune";
                argument: string;
                /** Format: date-time */
                until: string;
            };
            /** @description The sequence of the `request` that the record decides about, or that allowed the action. */
            approval?: number;
            count?: number;
            /** Format: date-time */
            since?: string;
            changes?: {
                path: string;
                before?: string;
                after?: string;
            }[];
            configHash?: string;
            revision?: string;
            before?: string;
            after?: string;
            resourceVersion?: string;
            requestId: string;
            attempt: number;
            durationMs: number;
            instance: string;
            replica: string;
            previousHash: string;
            hmac?: string;
            hash: string;
            counterpart?: components["schemas"]["Record"];
            chain: {
                previous?: number;
                next?: number;
                head: number;
                fits: boolean;
            };
        };
        Accepted: {
            requestId: string;
            /** @description The number of targets that are checked because of this event. */
            targets: number;
        };
        Handshake: {
            validationResponse: string;
        };
        RecordList: {
            records: components["schemas"]["Record"][];
            next?: string;
            /** @description With `trace`: the source versions that have the fingerprint. */
            versions?: {
                store: string;
                key: string;
                version: string;
                fingerprint: string;
                /** Format: date-time */
                firstRead: string;
            }[];
            /** @description With `trace`: there are more versions than were followed. */
            more?: boolean;
        };
        Verification: {
            ok: boolean;
            records: number;
            checkpoints: number;
            /** @description Whether a checkpoint covers all but the newest records. */
            covered: boolean;
            problem?: {
                /** @enum {string} */
                kind: "edited" | "deleted" | "inserted" | "reordered" | "truncated" | "checkpoint";
                sequence: number;
                /** @description For a checkpoint: the first bad record comes after this one. */
                after?: number;
                /** @description For a checkpoint: it matches the chain, but is signed by an unknown key. */
                unknownKey?: boolean;
            };
            from: number;
            sealed?: {
                sequence: number;
                /** Format: date-time */
                time: string;
            };
            cutProved?: boolean;
            accepted: number;
            unchecked: number;
            unverifiable?: number;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export interface operations {
    livez: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Liveness"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Liveness"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    readyz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Readiness"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    status: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Status"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    openapi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    listMappings: {
        parameters: {
            query?: {
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MappingList"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    getMapping: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The name of the mapping. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Mapping"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    syncMapping: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The name of the mapping. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description Whether to make changes outside of their `windows`. The records of the request are flagged. */
                    override?: boolean;
                    /** @description Why. Required with `override`. Do not include values. */
                    reason?: string;
                } | null;
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SyncAnswer"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    rollBackMapping: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The name of the mapping. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @description The sequence of an earlier change of the mapping. */
                    to: number;
                    /** @description One namespace of a mapping with several targets. */
                    namespace?: string;
                };
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SyncAnswer"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    unpinMapping: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The name of the mapping. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description One namespace of a mapping with several targets. */
                    namespace?: string;
                } | null;
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SyncAnswer"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    listHeld: {
        parameters: {
            query?: {
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HeldList"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    release: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id from the list of held changes. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never> | null;
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SyncAnswer"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    releaseMany: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @description The ids from the list of held changes. */
                    ids: string[];
                };
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Released"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    listLeft: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LeftAnswer"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    prune: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never> | null;
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PruneAnswer"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    listApprovals: {
        parameters: {
            query?: {
                /** @description Only requests in this state. `open`: those that wait, and those whose action is about to be carried out. */
                state?: "open" | "pending" | "approved" | "rejected" | "done" | "expired" | "all";
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApprovalList"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    approve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id from the list of requests. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description For the audit. Do not include values. */
                    note?: string;
                } | null;
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApproveAnswer"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    reject: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id from the list of requests. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description For the audit. Do not include values. */
                    note?: string;
                } | null;
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Approval"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    listRecords: {
        parameters: {
            query?: {
                /** @description Records from this time on: `7d`, `2026-01-31` or `2026-01-31T08:00:00Z`. */
                since?: string;
                /** @description Records before this time. */
                until?: string;
                /** @description The actor: a kind or a name. */
                actor?: string;
                /** @description Records of this mapping. */
                mapping?: string;
                /** @description Records of targets in this namespace. */
                namespace?: string;
                /** @description Records of targets with this Secret name. */
                secret?: string;
                /** @description Records of this store. */
                store?: string;
                /** @description Records of this source key. */
                key?: string;
                /** @description Records of this action. */
                action?: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
                /** @description Records with this outcome. */
                outcome?: "ok" | "failed" | "refused" | "held";
                /** @description Records with this error code. */
                code?: string;
                /** @description Records of this request id. */
                request?: string;
                /** @description Records that have this fingerprint before or after the change. */
                fingerprint?: string;
                /** @description Records in this review state. */
                review?: "unreviewed" | "reviewed" | "flagged";
                /** @description With `fingerprint`: also show changes that used a source version with this fingerprint. */
                trace?: boolean;
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecordList"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    getRecord: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The sequence of the record. */
                sequence: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecordDetail"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    verify: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Verification"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    listReview: {
        parameters: {
            query?: {
                /** @description Records from this time on: `7d`, `2026-01-31` or `2026-01-31T08:00:00Z`. */
                since?: string;
                /** @description Records before this time. */
                until?: string;
                /** @description The actor: a kind or a name. */
                actor?: string;
                /** @description Records of this mapping. */
                mapping?: string;
                /** @description Records of targets in this namespace. */
                namespace?: string;
                /** @description Records of targets with this Secret name. */
                secret?: string;
                /** @description Records of this store. */
                store?: string;
                /** @description Records of this source key. */
                key?: string;
                /** @description Records of this action. */
                action?: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
                /** @description Records with this outcome. */
                outcome?: "ok" | "failed" | "refused" | "held";
                /** @description Records with this error code. */
                code?: string;
                /** @description Records of this request id. */
                request?: string;
                /** @description Records that have this fingerprint before or after the change. */
                fingerprint?: string;
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReviewQueue"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    reviewMany: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @description The sequences of the records to review. */
                    sequences: number[];
                    /**
                     * @description The new review state.
                     * @enum {string}
                     */
                    state: "reviewed" | "flagged";
                    /** @description A note for other reviewers. Never put a secret value here. */
                    note?: string;
                    /** @description The day on which somebody looks at the record again, such as `2026-01-31`. */
                    followUp?: string;
                };
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Reviewed"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    review: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The sequence of the record. */
                sequence: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /**
                     * @description The new review state.
                     * @enum {string}
                     */
                    state: "reviewed" | "flagged";
                    /** @description A note for other reviewers. Never put a secret value here. */
                    note?: string;
                    /** @description The day on which somebody looks at the record again, such as `2026-01-31`. */
                    followUp?: string;
                };
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Record"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    exportRecords: {
        parameters: {
            query?: {
                /** @description The format of each record. */
                format?: "jsonl" | "csv" | "ocsf";
                /** @description Records from this time on: `7d`, `2026-01-31` or `2026-01-31T08:00:00Z`. */
                since?: string;
                /** @description Records before this time. */
                until?: string;
                /** @description The actor: a kind or a name. */
                actor?: string;
                /** @description Records of this mapping. */
                mapping?: string;
                /** @description Records of targets in this namespace. */
                namespace?: string;
                /** @description Records of targets with this Secret name. */
                secret?: string;
                /** @description Records of this store. */
                store?: string;
                /** @description Records of this source key. */
                key?: string;
                /** @description Records of this action. */
                action?: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
                /** @description Records with this outcome. */
                outcome?: "ok" | "failed" | "refused" | "held";
                /** @description Records with this error code. */
                code?: string;
                /** @description Records of this request id. */
                request?: string;
                /** @description Records that have this fingerprint before or after the change. */
                fingerprint?: string;
                /** @description Records in this review state. */
                review?: "unreviewed" | "reviewed" | "flagged";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": string;
                    "text/csv": string;
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    timeline: {
        parameters: {
            query?: {
                /** @description Records of targets in this namespace. */
                namespace?: string;
                /** @description Records of targets with this Secret name. */
                secret?: string;
                /** @description Records of this mapping. */
                mapping?: string;
                /** @description Records of this store. */
                store?: string;
                /** @description Records of this source key. */
                key?: string;
                /** @description The actor: a kind or a name. */
                actor?: string;
                /** @description The version of the source. */
                version?: string;
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Timeline"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    reach: {
        parameters: {
            query: {
                /** @description Records of this store. */
                store: string;
                /** @description Records of this source key. */
                key: string;
                /** @description The version of the source. */
                version?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Reach"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    search: {
        parameters: {
            query: {
                /** @description The text, in any letter case. */
                q: string;
                /** @description The number of results. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SearchResults"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    series: {
        parameters: {
            query?: {
                /** @description Records from this time on: `7d`, `2026-01-31` or `2026-01-31T08:00:00Z`. */
                since?: string;
                /** @description Records before this time. */
                until?: string;
                /** @description The length of a step: `1h`, `1d`. */
                step?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Series"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    picture: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Picture"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    listSources: {
        parameters: {
            query?: {
                /** @description Records of this store. */
                store?: string;
                /** @description Only sources whose present version was first read longer ago: `90d`. */
                olderThan?: string;
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SourceList"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    graph: {
        parameters: {
            query?: {
                /** @description Records of this mapping. */
                mapping?: string;
                /** @description Records of this store. */
                store?: string;
                /** @description Records of targets in this namespace. */
                namespace?: string;
                /** @description About how many nodes to return. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Graph"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    stream: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    listChanges: {
        parameters: {
            query?: {
                /** @description Records from this time on: `7d`, `2026-01-31` or `2026-01-31T08:00:00Z`. */
                since?: string;
                /** @description Records before this time. */
                until?: string;
                /** @description The actor: a kind or a name. */
                actor?: string;
                /** @description Records of this mapping. */
                mapping?: string;
                /** @description Records of targets in this namespace. */
                namespace?: string;
                /** @description Records of targets with this Secret name. */
                secret?: string;
                /** @description Records of this store. */
                store?: string;
                /** @description Records of this source key. */
                key?: string;
                /** @description Records of this action. */
                action?: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
                /** @description Records with this outcome. */
                outcome?: "ok" | "failed" | "refused" | "held";
                /** @description Records with this error code. */
                code?: string;
                /** @description Records of this request id. */
                request?: string;
                /** @description Records that have this fingerprint before or after the change. */
                fingerprint?: string;
                /** @description Records in this review state. */
                review?: "unreviewed" | "reviewed" | "flagged";
                /** @description `open`: only changes without a review that failed, were refused or held, or that deleted, adopted or rolled back a target. */
                state?: "open" | "all";
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChangeList"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    getChange: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The sequence of the record. */
                sequence: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChangeDetail"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    postWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The name in `events.webhooks`. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @description A store that the webhook may report about. */
                    store: string;
                    /** @description The key in the store, as mappings name it. */
                    key: string;
                };
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Accepted"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    postEventGrid: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The name in `events.eventGrid`. */
                name: string;
            };
            cookie?: never;
        };
        /** @description One event or a list of events. */
        requestBody: {
            content: {
                "application/json": Record<string, never> | unknown[];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Handshake"];
                };
            };
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Accepted"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    validateEventGrid: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The name in `events.eventGrid`. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    signInMethods: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignInMethods"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    login: {
        parameters: {
            query?: {
                /** @description The fragment of the page to show after the sign-in. */
                to?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            303: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    callback: {
        parameters: {
            query?: {
                code?: string;
                state?: string;
                iss?: string;
                error?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            303: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    deviceLogin: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never> | null;
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeviceSignIn"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    deviceToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    deviceCode?: string;
                    renewal?: string;
                };
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeviceToken"];
                };
            };
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DevicePending"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    logout: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never> | null;
            };
        };
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    session: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
            /** @description Default Response */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description Default Response */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
}
