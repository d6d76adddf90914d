// The one WebSocket: connects, subscribes, checks that nothing is missing, comes back by itself.
//
// Signals say how it stands; listeners get the messages. A lost connection, a silent one and a gap
// all end the same way: with a fresh snapshot.
import { batch, signal } from '@preact/signals';
import { apiPath } from './api.js';
import { backoffDelay } from './lib/backoff.js';
import { Sequence } from './lib/sequence.js';
import { phase, refreshSession } from './session.js';

// 'off' (signed out), 'connecting', 'live', or 'waiting' (for the next attempt).
export const link = signal('off');
export const retryAt = signal(0); // of 'waiting': when the next attempt is made
export const contact = signal(0); // when the server was last heard of
export const trouble = signal(''); // of 'waiting': what is known of the cause

const sequence = new Sequence();
const listeners = new Map(); // message type -> set of callbacks
const topics = new Map(); // topic -> number of subscribers

let socket = null;
let attempt = 0;
let retryTimer = 0;
let heartbeatTimer = 0;
let heartbeat = 20;

export function on(type, callback) {
    if (!listeners.has(type))
        listeners.set(type, new Set());
    listeners.get(type).add(callback);
    return () => listeners.get(type).delete(callback);
}

function emit(type, data) {
    for (const callback of [...(listeners.get(type) ?? [])])
        callback(data);
}

function send(message) {
    if (socket?.readyState === WebSocket.OPEN)
        socket.send(JSON.stringify(message));
}

// Returns the function that gives the topic up again.
export function subscribe(topic) {
    const users = topics.get(topic) ?? 0;
    topics.set(topic, users + 1);
    if (users === 0)
        send({ type: 'subscribe', topics: [topic] });
    let done = false;
    return () => {
        if (done)
            return;
        done = true;
        const left = topics.get(topic) - 1;
        if (left > 0) {
            topics.set(topic, left);
        } else {
            topics.delete(topic);
            send({ type: 'unsubscribe', topics: [topic] });
        }
    };
}

function wait(cause) {
    clearTimeout(retryTimer);
    const delay = backoffDelay(attempt++) * 1000;
    batch(() => {
        link.value = 'waiting';
        trouble.value = cause;
        retryAt.value = Date.now() + delay;
    });
    retryTimer = setTimeout(reconnect, delay);
}

function drop() {
    clearInterval(heartbeatTimer);
    if (!socket)
        return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    socket = null;
}

function lost(cause) {
    drop();
    emit('lost');
    wait(cause);
}

// Before the socket, the session: a browser is not told why an upgrade was refused.
async function reconnect() {
    clearTimeout(retryTimer);
    if (phase.value !== 'in')
        return;
    link.value = 'connecting';
    const reached = await refreshSession();
    if (phase.value !== 'in' || link.value !== 'connecting')
        return;
    if (reached)
        open();
    else
        wait('cesid does not answer.');
}

export function retryNow() {
    if (link.value === 'waiting')
        reconnect();
}

function describeClose({ code, reason }) {
    if (code === 1001)
        return 'cesid is shutting down or restarting.';
    if (code === 1013)
        return 'cesid has no place left for live connections.';
    if (reason)
        return `The connection was closed: ${reason} (${code}).`;
    return code === 1006 ? 'The connection was lost.' : `The connection was closed (${code}).`;
}

function beat() {
    const silence = Date.now() - contact.value;
    if (silence > heartbeat * 2500)
        lost('Nothing was heard for too long.');
    else
        send({ type: 'ping' });
}

function receive(event) {
    let message;
    try {
        message = JSON.parse(event.data);
    } catch {
        lost('cesid sent something that is not JSON.');
        return;
    }
    contact.value = Date.now();
    switch (sequence.next(message.seq)) {
    case 'repeat':
        return;
    case 'gap':
        attempt = 0;
        lost('Messages were missed; starting over.');
        return;
    }
    if (message.type === 'hello') {
        heartbeat = Math.max(2, message.data?.heartbeat || 20);
        clearInterval(heartbeatTimer);
        heartbeatTimer = setInterval(beat, heartbeat * 1000);
        send({ type: 'subscribe', topics: [...topics.keys()] });
        batch(() => {
            link.value = 'live';
            trouble.value = '';
        });
        emit('live');
    } else if (message.type === 'snapshot') {
        attempt = 0; // it works: the next loss starts from a short wait
    }
    emit(message.type, message.data);
}

function open() {
    drop();
    sequence.reset();
    const url = new URL(apiPath('ws'), location.origin);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const opened = new WebSocket(url);
    const patience = setTimeout(() => {
        if (socket === opened && link.value === 'connecting')
            lost('The connection was not made in time.');
    }, 10_000);
    socket = opened;
    opened.onmessage = receive;
    opened.onclose = (event) => {
        clearTimeout(patience);
        if (socket === opened)
            lost(describeClose(event));
    };
}

export function start() {
    if (link.value !== 'off')
        return;
    attempt = 0;
    link.value = 'connecting';
    open();
}

export function stop() {
    clearTimeout(retryTimer);
    drop();
    emit('lost');
    link.value = 'off';
}

// A laptop that wakes up need not wait out the backoff.
addEventListener('online', retryNow);
document.addEventListener('visibilitychange', () => {
    if (!document.hidden)
        retryNow();
});
