// HTTP as a test wants it: every header visible, nothing followed or repeated behind its back.
import assert from 'node:assert/strict';
import http from 'node:http';
import https from 'node:https';
import { within } from './wait.mjs';

// body: an object goes as JSON, a string or buffer as it is. via: what the connection needs besides
// (ca, localAddress).
export function request(base, method, path, { body, headers = {}, agent = false, via = {} } = {}) {
    const sent = { ...headers };
    let payload = body;
    if (body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body)) {
        payload = JSON.stringify(body);
        sent['Content-Type'] ??= 'application/json';
    }
    if (payload !== undefined)
        sent['Content-Length'] ??= Buffer.byteLength(payload);
    const { protocol, hostname, port } = new URL(base);
    const { request: send } = protocol === 'https:' ? https : http;
    const answer = new Promise((resolve, reject) => {
        const call = send({ method, hostname, port, path, headers: sent, agent, ...via }, (reply) => {
            const chunks = [];
            reply.on('data', (chunk) => chunks.push(chunk));
            reply.on('error', reject);
            reply.on('end', () => {
                const bytes = Buffer.concat(chunks);
                const text = bytes.toString('utf8');
                let json;
                if (/\bjson\b/.test(reply.headers['content-type'] ?? '') && text)
                    json = JSON.parse(text);
                resolve({ status: reply.statusCode, headers: reply.headers, bytes, text, json });
            });
        });
        call.on('error', reject);
        call.end(payload);
    });
    return within(`an answer to ${method} ${path}`, answer, 150);
}

// The shape that every error has, wherever it comes from.
export function expectProblem(answer, status, code) {
    const what = `${answer.status} ${answer.text}`;
    assert.equal(answer.status, status, what);
    assert.match(answer.headers['content-type'], /^application\/problem\+json/, what);
    const problem = answer.json;
    assert.equal(problem.code, code, what);
    assert.equal(problem.status, status, what);
    assert.equal(problem.type, `urn:cesid:error:${code}`, what);
    assert.ok(problem.title.length > 0, what);
    assert.equal(typeof problem.detail, 'string', what);
    assert.equal(problem.request_id, answer.headers['x-request-id'], what);
    assert.doesNotMatch(answer.text, /\bSQL|sqlite|\.c:\d+|0x[0-9a-f]{6}/i, what);
    if (status === 401)
        assert.match(answer.headers['www-authenticate'], /^Bearer/, what);
    if (status === 429 || status === 503)
        assert.match(answer.headers['retry-after'], /^\d+$/, what);
    return problem;
}

export function expectOk(answer, status = 200) {
    assert.equal(answer.status, status, `${answer.status} ${answer.text}`);
    return answer.json;
}
