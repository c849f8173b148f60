using System.Net.Sockets;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Transport;

/// <summary>Why there is no connection: the code of a socket, which `HttpRequestException.HttpRequestError` comes from, and our words.</summary>
internal sealed class OnionSocketException(SocketError error, string message) : SocketException((int)error)
{
    public override string Message => message;

    public static SocketError ErrorOf(ProxyStatus status) => status switch
    {
        ProxyStatus.NameNotResolved => SocketError.HostNotFound,
        ProxyStatus.PolicyRefused => SocketError.AccessDenied,
        ProxyStatus.ConnectionRefused => SocketError.ConnectionRefused,
        ProxyStatus.NetworkUnreachable => SocketError.NetworkUnreachable,
        ProxyStatus.HostUnreachable => SocketError.HostUnreachable,
        ProxyStatus.TimedOut => SocketError.TimedOut,
        ProxyStatus.Limit => SocketError.TooManyOpenSockets,
        _ => SocketError.ConnectionAborted,
    };

    public static OnionSocketException OfExit(ProxyStatus status) => new(ErrorOf(status), status switch
    {
        ProxyStatus.PolicyRefused => "the exit's policy refuses this destination",
        ProxyStatus.NameNotResolved => "the exit could not resolve the name",
        ProxyStatus.ConnectionRefused => "the destination refused the connection",
        ProxyStatus.NetworkUnreachable or ProxyStatus.HostUnreachable => "the exit does not reach the destination",
        ProxyStatus.TimedOut => "the destination did not answer in time",
        ProxyStatus.Limit => "the exit has too many connections open",
        _ => "the exit could not connect",
    });
}
