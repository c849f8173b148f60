using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Api;

/// <summary>A status code and a body: a dictionary, a text, or bytes.</summary>
internal sealed record ApiResult(int Status, object Body)
{
    public const int Ok = 200;
    public const int BadRequest = 400;
    public const int Unauthorized = 401;
    public const int Forbidden = 403;
    public const int NotFound = 404;
    public const int NotAcceptable = 406;
    public const int Misdirected = 421;
    public const int TooMany = 429;
    public const int Failed = 500;
    public const int BadGateway = 502;
    public const int Unavailable = 503;

    public bool IsSuccess => Status is >= 200 and < 300;

    public static ApiResult Invalid(string fault) => new(BadRequest, "invalid request: " + fault);

    public static ApiResult Error(int status, string text) => new(status, text);

    /// <summary>Body for a door: JSON or bt of a dictionary, the text, the bytes.</summary>
    public byte[] ToBytes(bool bt) => Body switch
    {
        string text => System.Text.Encoding.UTF8.GetBytes(text),
        byte[] bytes => bytes,
        _ => bt ? BtEncoding.Write(Body) : JsonWire.Write(Body),
    };
}
