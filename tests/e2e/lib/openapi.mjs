// The API's own description: fetched, walked, and held against what the server really answers.
import assert from 'node:assert/strict';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

export class Description {
    static async of(cesid) {
        const answer = await cesid.api('GET', '/openapi.json', { token: null });
        assert.equal(answer.status, 200, answer.text);
        return new Description(answer.text);
    }

    constructor(text) {
        this.text = text;
        this.document = JSON.parse(text);
        this.operations = [];
        for (const [path, methods] of Object.entries(this.document.paths))
            for (const [method, operation] of Object.entries(methods))
                this.operations.push({ path, method: method.toUpperCase(), ...operation });
        this.ajv = new Ajv({ strict: false, allErrors: true });
        addFormats(this.ajv);
        // What the description does not name must not be answered either.
        const closed = structuredClone(this.document);
        for (const schema of Object.values(closed.components.schemas))
            schema.additionalProperties ??= false;
        this.ajv.addSchema({ $id: 'api', components: closed.components });
        this.checks = new Map();
    }

    find(method, path) {
        const found = this.operations.find((each) => each.method === method && each.path === path);
        assert.ok(found, `${method} ${path} is described`);
        return found;
    }

    // Follows a $ref of the document.
    resolve(thing) {
        if (!thing?.$ref)
            return thing;
        return thing.$ref.slice(2).split('/').reduce((at, key) => at[key], this.document);
    }

    parameters(operation, where) {
        return operation.parameters.map((each) => this.resolve(each))
            .filter((each) => each.in === where);
    }

    body(operation) {
        return operation.requestBody?.content['application/json'].schema;
    }

    // The answer is one that the description has.
    check(operation, answer) {
        const what = `${operation.method} ${operation.path}: ${answer.status} ` +
            answer.text.slice(0, 600);
        const described = this.resolve(operation.responses[answer.status]);
        assert.ok(described, `a status that is described: ${what}`);
        assert.ok(answer.headers['x-request-id'], what);
        for (const [name, header] of Object.entries(described.headers ?? {}))
            assert.ok(answer.headers[name.toLowerCase()] !== undefined || name === 'Location' &&
                operation.method === 'GET', `${name}: ${JSON.stringify(header)}: ${what}`);
        const types = Object.keys(described.content ?? {});
        if (types.length === 0) {
            assert.equal(answer.text, '', what);
            return;
        }
        const type = types.find((each) => answer.headers['content-type'].startsWith(each));
        assert.ok(type, `${types} is not ${answer.headers['content-type']}: ${what}`);
        if (!/^application\/(problem\+)?json$/.test(type))
            return;
        const key = `${operation.operationId} ${answer.status}`;
        if (!this.checks.has(key)) {
            const text = JSON.stringify(described.content[type].schema)
                .replaceAll('"#/components/', '"api#/components/');
            this.checks.set(key, this.ajv.compile(JSON.parse(text)));
        }
        const check = this.checks.get(key);
        assert.ok(check(answer.json), `${what}: ${this.ajv.errorsText(check.errors)}`);
    }
}

// Values that a schema of a field does not allow, as they would be sent: { value, why }.
export function wrongValues(schema, { query = false } = {}) {
    const wrong = [];
    const add = (value, why) => wrong.push({ value, why });
    const item = schema.type === 'array' ? schema.items : schema;
    if (query && schema.type === 'array')
        return wrongValues(item, { query });
    if (!query) {
        add(schema.type === 'string' ? 7 : 'text', 'wrong type');
        add([{}], 'wrong type');
        if (schema.type === 'array')
            wrong.push(...wrongValues(item).map(({ value, why }) =>
                ({ value: [value], why: `an item: ${why}` })));
    }
    if (schema.type === 'integer' || schema.type === 'number') {
        const text = (value) => (query ? String(value) : value);
        if (query)
            ['ten', '', '1e', '0x10', 'NaN', '1 '].forEach((value) => add(value, 'no number'));
        if (schema.minimum !== undefined) {
            add(text(schema.minimum - 1), 'too small');
            add(text(schema.maximum + 1), 'too large');
        }
        if (query)
            add('9'.repeat(30), 'much too large');
        if (schema.type === 'integer' && !query)
            add(1.5, 'no whole number');
    }
    if (schema.type === 'boolean' && query)
        add('perhaps', 'neither true nor false');
    if (schema.type === 'string') {
        if (schema.enum)
            add('sideways', 'none of the words');
        if (schema.maxLength !== undefined && schema.maxLength < 7000)
            add('x'.repeat(schema.maxLength + 1), 'too long');
        if (schema.minLength > 0)
            add('', 'too short');
        if (schema.pattern)
            add('a\x01b', 'a control character');
    }
    return wrong;
}
