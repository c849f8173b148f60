namespace Oxen.Router.Transport;

/// <summary>
/// What a hidden service knows of a connection, for `HttpContext.Features`. Who the client is and where it is, nobody knows:
/// `Connection.RemoteIpAddress` is null.
/// </summary>
public interface IOnionConnectionFeature
{
    /// <summary>The service's address, 52 characters and `.loki`.</summary>
    string ServiceAddress { get; }

    /// <summary>The name that the client asked for, such as `www.….loki`: a claim, as a Host header is.</summary>
    string RequestedHost { get; }

    /// <summary>The port that the client asked for.</summary>
    int Port { get; }

    /// <summary>A number for one client's session, the same in all its connections while it lasts. It says nothing of who it is.</summary>
    long ClientSession { get; }
}
