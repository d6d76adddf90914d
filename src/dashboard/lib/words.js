// What actions are called while they go on, when they are done, and when they are not.
export const words = {
    start: { doing: 'Starting', done: 'Started', not: 'Not started' },
    stop: { doing: 'Stopping', done: 'Stopped', not: 'Not stopped' },
    restart: { doing: 'Restarting', done: 'Restarted', not: 'Not restarted' },
    signal: { doing: 'Sending the signal', done: 'Signal sent', not: 'Signal not sent' },
    stdin: { doing: 'Sending the text', done: 'Text sent', not: 'Text not sent' },
    clear: { doing: 'Clearing the log', done: 'Log cleared', not: 'Log not cleared' },
    refresh: { doing: 'Reading', done: 'Read', not: 'Not read' },
    check: { doing: 'Checking the connection', done: 'The connection works',
        not: 'The connection does not work' },
    'start-all': { doing: 'Starting all', done: 'Started all', not: 'Not all started' },
    'stop-all': { doing: 'Stopping all', done: 'Stopped all', not: 'Not all stopped' },
    'restart-all': { doing: 'Restarting all', done: 'Restarted all', not: 'Not all restarted' },
    reread: { doing: 'Rereading the configuration', done: 'Configuration reread',
        not: 'Configuration not reread' },
    update: { doing: 'Updating', done: 'Updated', not: 'Not updated' },
    'supervisor/restart': { doing: 'Asking supervisord to restart',
        done: 'supervisord was told to restart', not: 'supervisord was not restarted' },
    'supervisor/shutdown': { doing: 'Asking supervisord to shut down',
        done: 'supervisord was told to shut down', not: 'supervisord was not shut down' },
    save: { doing: 'Saving', done: 'Saved', not: 'Not saved' },
};

// Their answers stay until they are dismissed: they are there to be read.
export const kept = ['check', 'reread', 'update'];

// Those that the API tries on demand although the node's breaker is open.
export const forcible = new Set(['start', 'stop', 'restart', 'signal', 'stdin', 'start-all',
    'stop-all', 'restart-all']);

export const signals = {
    HUP: 'reload, by custom', INT: 'interrupt', QUIT: 'quit, often with a core', TERM: 'end',
    KILL: 'end at once', USR1: 'of the program’s own', USR2: 'of the program’s own',
    CONT: 'go on', STOP: 'pause', WINCH: 'often a graceful end', ALRM: 'alarm', ABRT: 'abort',
};
export const otherSignals = ['ILL', 'TRAP', 'BUS', 'FPE', 'SEGV', 'PIPE', 'STKFLT', 'CHLD', 'TSTP',
    'TTIN', 'TTOU', 'URG', 'XCPU', 'XFSZ', 'VTALRM', 'PROF', 'IO', 'PWR', 'SYS'];
