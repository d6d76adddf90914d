/*
 * The words for why a call to a node failed, and what an operator can do about it. Pure functions.
 */
#include "cesid/rpc.h"

static const struct {
    const char *name;
    const char *hint;
} causes[RPC_CAUSES] = {
    [RPC_CAUSE_REFUSED] = {"refused", "Start supervisord on the node, or correct the address and "
                                      "port (or socket path) in the node's url."},
    [RPC_CAUSE_UNREACHABLE] = {"unreachable", "Check that the host is up and that routes and "
                                              "firewalls let cesid reach it."},
    [RPC_CAUSE_TIMEOUT] = {"timeout", "Check whether supervisord hangs or the host is overloaded, "
                                      "and whether a firewall drops the packets."},
    [RPC_CAUSE_DNS] = {"dns", "Check the host name in the node's url and the resolver of the "
                              "machine that cesid runs on."},
    [RPC_CAUSE_TLS] = {"tls", "Check the node's certificate, its host name and validity, and set "
                              "ca_file to the authority that signed it."},
    [RPC_CAUSE_UNAUTHORIZED] = {"unauthorized", "Set the node's username and password to those of "
                                                "supervisord's inet_http_server or "
                                                "unix_http_server section."},
    [RPC_CAUSE_PERMISSION] = {"permission", "Give the user that cesid runs as access to the unix "
                                            "socket (chmod or chown in supervisord's "
                                            "unix_http_server section)."},
    [RPC_CAUSE_NO_RPC_INTERFACE] = {"no_rpc_interface",
                                    "Check the path in the node's url (usually /RPC2) and the "
                                    "rpcinterface:supervisor section of supervisord's "
                                    "configuration."},
    [RPC_CAUSE_PROTOCOL] = {"protocol", "Check that it is supervisord that listens at the node's "
                                        "url, and look into supervisord's own log."},
    [RPC_CAUSE_TOO_LARGE] = {"too_large", "Raise refresh.answer_max if the node really has that "
                                          "many processes."},
    [RPC_CAUSE_RESET] = {"reset", "Check whether supervisord was restarted or crashed; look into "
                                  "its own log if this keeps happening."},
};

const char *rpc_cause_name(enum rpc_cause cause)
{
    return cause > RPC_CAUSE_NONE && cause < RPC_CAUSES ? causes[cause].name : NULL;
}

const char *rpc_cause_hint(enum rpc_cause cause)
{
    return cause > RPC_CAUSE_NONE && cause < RPC_CAUSES ? causes[cause].hint : NULL;
}
