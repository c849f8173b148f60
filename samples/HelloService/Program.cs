// A web app that is a hidden service. Its network: Oxen__Contacts, Oxen__ContactsKey and Oxen__Network, or appsettings.json (docs/dotnet.md).
using Oxen.Router.AspNetCore;

WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.WebHost.ListenOxen("keys/site");
WebApplication app = builder.Build();
app.MapGet("/", () => "Hello from a hidden service.\n");
app.MapPost("/echo", (HttpRequest request) => Results.Stream(request.Body));
app.Run();
